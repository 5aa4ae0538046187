package config

import (
	"iter"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// setting is one setting, as its tags describe it.
type setting struct {
	name             string
	index            []int // of the field in Config
	group, doc       string
	fallback, shown  string
	values           string
	oneof            []string
	min, max         int64
	isNumber, isTime bool
	isBool           bool
}

// settings returns all settings in order.
var settings = sync.OnceValue(func() []setting {
	var all []setting
	group, usual := "", defaults()
	for feature := range features() {
		if g := feature.Tag.Get("group"); g != "" {
			group = g
		}
		for f := range feature.Type.Fields() {
			if name := f.Tag.Get("env"); name != "" {
				s := settingOf(f, name, group, slices.Concat(feature.Index, f.Index))
				if v := reflect.ValueOf(usual).FieldByIndex(s.index); !v.IsZero() {
					s.fallback = show(v.Interface())
				}
				all = append(all, s)
			}
		}
	}
	return all
})

// features iterates over the fields of Config that hold settings.
func features() iter.Seq[reflect.StructField] {
	return func(yield func(reflect.StructField) bool) {
		for f := range reflect.TypeFor[Config]().Fields() {
			if f.IsExported() && !yield(f) {
				return
			}
		}
	}
}

func settingOf(f reflect.StructField, name, group string, index []int) setting {
	s := setting{
		name: name, index: index, group: group, doc: f.Tag.Get("doc"),
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
	return s
}

const (
	// maxMillis is a hundred years: neither a time.Duration nor a deadline up to the
	// year 9999 overflows.
	maxMillis = 100 * 365 * 24 * 60 * 60 * 1000
	// maxNumber is the largest integer range that a JSON number represents exactly.
	maxNumber = 1 << 53
)

func mustInt(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		panic("config: bad tag: " + err.Error())
	}
	return n
}

// checkOneOf returns an error message unless the text is one of the allowed values.
func (s *setting) checkOneOf(text string) string {
	return messageIf(len(s.oneof) > 0 && !slices.Contains(s.oneof, text), "%s is not one of %s", quoted(text), strings.Join(s.oneof, ", "))
}

// checkRange returns an error message unless the value is within its limits.
func (s *setting) checkRange(v reflect.Value) string {
	if !s.isNumber {
		return ""
	}
	n := v.Int()
	if s.isTime {
		n = time.Duration(n).Milliseconds()
	}
	return messageIf(n < s.min || n > s.max, "%d is not between %d and %d", n, s.min, s.max)
}
