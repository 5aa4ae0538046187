package jwt

import (
	"slices"
	"time"
)

const (
	// maxLead is how long the next key is published before it signs, unless keys are
	// replaced so often that a quarter of that time is less.
	maxLead = 24 * time.Hour
	// maxSkew is how far the clocks of two instances may be apart.
	maxSkew = 5 * time.Minute
	// retention is how long a key is published after the next one's turn has come:
	// until the last token has expired that an instance with a slow clock signed, by
	// the clock of a consumer that is slow itself.
	retention = MaxTTL + 2*maxSkew
)

// schedule says which keys there have to be.
type schedule struct {
	algorithm Algorithm     // of new keys
	rotate    time.Duration // how long a key signs
}

// lead is how long a key is published before it signs.
func (s schedule) lead() time.Duration { return min(maxLead, s.rotate/4) }

// reload is how old the shared keys may be that an instance uses, as long as it can ask
// for newer ones.
func (s schedule) reload() time.Duration { return min(time.Minute, s.lead()/10) }

// maxAge is how long consumers may cache the published keys. With reload, that ends well
// before a key signs that they do not have.
func (s schedule) maxAge() time.Duration { return min(15*time.Minute, s.lead()/4) }

// advance returns the keys that there have to be at now, in the order of their turns:
// without those that no live token was signed with, and with the next one where it is
// time. changed says that they are others than before.
func (s schedule) advance(keys []*key, now time.Time) (next []*key, changed bool, err error) {
	slices.SortFunc(keys, byTurn)
	for i, k := range keys {
		if i+1 < len(keys) && now.After(keys[i+1].signsFrom.Add(retention)) {
			changed = true
			continue
		}
		next = append(next, k)
	}
	turn, due := s.due(next, now)
	if !due {
		return next, changed, nil
	}
	k, err := newKey(s.algorithm, turn)
	if err != nil {
		return nil, false, err
	}
	return append(next, k), true, nil
}

// due reports whether a key has to be made, and when it signs. The first one signs at
// once: there is nobody yet who would not know it.
func (s schedule) due(keys []*key, now time.Time) (turn time.Time, due bool) {
	if len(keys) == 0 {
		return now, true
	}
	last := keys[len(keys)-1]
	if last.signsFrom.After(now) {
		return time.Time{}, false
	}
	soonest, usual := now.Add(s.lead()), last.signsFrom.Add(s.rotate)
	switch {
	case last.algorithm != s.algorithm:
		return soonest, true
	case soonest.Before(usual):
		return time.Time{}, false
	}
	return soonest, true
}
