package main

import (
	"fmt"
	"os"
	"runtime"
)

// describeMachine says what the figures depend on, and not whose machine it is.
func describeMachine(wrk string) string {
	processor := ""
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil { // some architectures name none
		if model, ok := field(string(info), "model name"); ok {
			processor = " (" + model + ")"
		}
	}
	return fmt.Sprintf("%d cores%s, %s/%s, %s, wrk %s",
		runtime.NumCPU(), processor, runtime.GOOS, runtime.GOARCH, runtime.Version(), wrk)
}
