package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of the times in /proc/<pid>/stat: USER_HZ is 100 on every
// architecture that Go runs on (proc(5), time(7)).
const tick = time.Second / 100

// cpuTime returns the time that a process has spent on processors, in user and
// kernel mode, all of its threads together.
func cpuTime(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseStat(string(stat))
}

// parseStat reads utime and stime, fields 14 and 15. The second field, the
// command in parentheses, may hold blanks and parentheses itself.
func parseStat(stat string) (time.Duration, error) {
	end := strings.LastIndexByte(stat, ')')
	fields := strings.Fields(stat[end+1:]) // from the third field on
	if end < 0 || len(fields) < 13 {
		return 0, errors.New("/proc/<pid>/stat: not the known format")
	}
	var sum time.Duration
	for _, field := range fields[11:13] {
		n, err := strconv.ParseUint(field, 10, 32)
		if err != nil {
			return 0, fmt.Errorf("/proc/<pid>/stat: %w", err)
		}
		sum += time.Duration(n) * tick
	}
	return sum, nil
}

// resident returns the memory that a process has in RAM, in bytes.
func resident(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return parseResident(string(status))
}

// parseResident reads VmRSS of /proc/<pid>/status.
func parseResident(status string) (int64, error) {
	value, ok := field(status, "VmRSS")
	kib, isKiB := strings.CutSuffix(value, " kB")
	if !ok || !isKiB {
		return 0, errors.New("/proc/<pid>/status: no VmRSS in kB")
	}
	n, err := strconv.ParseInt(kib, 10, 54)
	if err != nil {
		return 0, fmt.Errorf("/proc/<pid>/status: VmRSS: %w", err)
	}
	return n << 10, nil
}

// field returns the value of the first line "name : value".
func field(text, name string) (string, bool) {
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value), true
		}
	}
	return "", false
}
