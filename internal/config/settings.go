package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// setting is what the tags of one field of config say.
type setting struct {
	name, field      string
	group, doc       string
	fallback, shown  string
	values           string
	oneof            []string
	min, max         int64
	isNumber, isTime bool
	isBool           bool
}

// settings are the fields of Config, in order.
var settings = sync.OnceValue(func() []setting {
	var all []setting
	group := ""
	for f := range reflect.TypeFor[Config]().Fields() {
		name := f.Tag.Get("env")
		if name == "" {
			continue
		}
		if g := f.Tag.Get("group"); g != "" {
			group = g
		}
		s := setting{
			name: name, field: f.Name, group: group, doc: f.Tag.Get("doc"),
			fallback: f.Tag.Get("envDefault"), shown: f.Tag.Get("shown"), values: f.Tag.Get("values"),
			oneof:  strings.Fields(f.Tag.Get("oneof")),
			isTime: f.Type == reflect.TypeFor[time.Duration](),
			isBool: f.Type.Kind() == reflect.Bool,
		}
		if least, ok := f.Tag.Lookup("min"); ok {
			s.isNumber = true
			s.min, s.max = mustInt(least), maxNumber
			if s.isTime {
				s.max = maxMillis
			}
			if most, ok := f.Tag.Lookup("max"); ok {
				s.max = mustInt(most)
			}
		}
		all = append(all, s)
	}
	return all
})

const (
	// maxMillis is a hundred years: far from what overflows a time.Duration or
	// takes a deadline past the year 9999.
	maxMillis = 100 * 365 * 24 * 60 * 60 * 1000
	// maxNumber is what a JSON number holds exactly.
	maxNumber = 1 << 53
)

func mustInt(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		panic("config: bad tag: " + err.Error())
	}
	return n
}

// check returns what is wrong with the value by itself, or nothing.
func (s *setting) check(v reflect.Value) string {
	switch {
	case len(s.oneof) > 0 && !slices.Contains(s.oneof, v.String()):
		return fmt.Sprintf("%s is not one of %s", quoted(v.String()), strings.Join(s.oneof, ", "))
	case s.isNumber:
		n := v.Int()
		if s.isTime {
			n = time.Duration(n).Milliseconds()
		}
		if n < s.min || n > s.max {
			return fmt.Sprintf("%d is not between %d and %d", n, s.min, s.max)
		}
	}
	return ""
}
