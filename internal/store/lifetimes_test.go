package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"session-api/internal/schema"
	"session-api/internal/store"
)

func TestIdle(t *testing.T) {
	const day = 24 * time.Hour
	life := store.Lifetimes{
		TTL:    day,
		MaxTTL: 30 * day,
		Roles: map[string]time.Duration{
			"admin": 15 * time.Minute, "guest": time.Hour, "robot": 60 * day,
		},
	}
	for name, c := range map[string]struct {
		own   time.Duration
		roles []string
		want  time.Duration
	}{
		"default":                        {0, nil, day},
		"own, shorter":                   {time.Minute, nil, time.Minute},
		"own, longer":                    {7 * day, nil, 7 * day},
		"own, longer than any may":       {60 * day, nil, 30 * day},
		"role, shorter":                  {0, []string{"admin"}, 15 * time.Minute},
		"role without a life of its own": {0, []string{"editor"}, day},
		"role, case matters":             {0, []string{"Admin"}, day},
		"role, longer than any may":      {0, []string{"robot"}, 30 * day},
		"of several roles the shortest":  {0, []string{"robot", "guest", "admin", "editor"}, 15 * time.Minute},
		"own below the role's":           {time.Minute, []string{"admin"}, time.Minute},
		"own above the role's":           {day, []string{"admin"}, 15 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.want, life.Idle(c.own, c.roles))
		})
	}

	t.Run("without a most", func(t *testing.T) {
		life := store.Lifetimes{TTL: day}
		assert.Equal(t, 400*day, life.Idle(400*day, nil))
	})
}

func TestDeadline(t *testing.T) {
	created := time.Date(2026, 11, 21, 17, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		absolute, age, idle, want time.Duration
	}{
		"idle":           {0, 5 * time.Hour, time.Hour, 6 * time.Hour},
		"below the cap":  {8 * time.Hour, 5 * time.Hour, time.Hour, 6 * time.Hour},
		"at the cap":     {6 * time.Hour, 5 * time.Hour, time.Hour, 6 * time.Hour},
		"beyond the cap": {6 * time.Hour, 5*time.Hour + time.Millisecond, time.Hour, 6 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			life := store.Lifetimes{Absolute: c.absolute}
			assert.Equal(t, created.Add(c.want), life.Deadline(created, created.Add(c.age), c.idle))
		})
	}
}

func TestSlide(t *testing.T) {
	created := time.Date(2026, 11, 21, 17, 0, 0, 0, time.UTC)
	life := func(absolute, interval time.Duration) store.Lifetimes {
		return store.Lifetimes{Absolute: absolute, TouchInterval: interval}
	}
	for name, c := range map[string]struct {
		life    store.Lifetimes
		ttl     time.Duration
		expires time.Duration // since creation, like those below
		now     time.Duration
		until   time.Duration
		due     bool
	}{
		"too early":              {life(0, time.Minute), time.Hour, time.Hour, time.Minute - 1, time.Hour + time.Minute - 1, false},
		"after the interval":     {life(0, time.Minute), time.Hour, time.Hour, time.Minute, time.Hour + time.Minute, true},
		"a twentieth is shorter": {life(0, time.Minute), 10 * time.Second, 10 * time.Second, 500 * time.Millisecond, 10500 * time.Millisecond, true},
		"not yet a twentieth":    {life(0, time.Minute), 10 * time.Second, 10 * time.Second, 499 * time.Millisecond, 10499 * time.Millisecond, false},
		"no interval":            {life(0, 0), time.Hour, time.Hour, time.Millisecond, time.Hour + time.Millisecond, true},
		"nothing to move":        {life(0, 0), time.Hour, time.Hour, 0, time.Hour, false},
		"never back":             {life(0, 0), time.Minute, time.Hour, time.Minute, 2 * time.Minute, false},
		"the rest up to the cap": {life(2*time.Hour, time.Minute), time.Hour, 2*time.Hour - time.Second, 90 * time.Minute, 2 * time.Hour, true},
		"at the cap":             {life(2*time.Hour, time.Minute), time.Hour, 2 * time.Hour, 90 * time.Minute, 2 * time.Hour, false},
		"beyond a lowered cap":   {life(time.Hour, time.Minute), time.Hour, 2 * time.Hour, 90 * time.Minute, time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			sess := schema.Session{CreatedAt: created, ExpiresAt: created.Add(c.expires), TTL: c.ttl}
			until, due := c.life.Slide(created.Add(c.now), &sess)
			assert.Equal(t, c.due, due)
			assert.Equal(t, created.Add(c.until), until)
		})
	}
}
