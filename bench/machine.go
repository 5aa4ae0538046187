package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// describeMachine returns a description of the machine's hardware and system.
func describeMachine(programs []string) string {
	processor := ""
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil { // some architectures name none
		if model, ok := field(string(info), "model name"); ok {
			processor = " (" + model + ")"
		}
	}
	return fmt.Sprintf("%d cores%s, %s/%s, %s, %s",
		runtime.NumCPU(), processor, runtime.GOOS, runtime.GOARCH, runtime.Version(), strings.Join(programs, ", "))
}
