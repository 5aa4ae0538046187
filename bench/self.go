package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
)

// runSelf runs this program with args in a process of its own, and decodes the JSON
// that it writes into the value that figures points to. The error has what the process
// says of it.
func runSelf(ctx context.Context, figures any, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, args...)
	endWithParent(cmd)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, &stderr)
	}
	return json.Unmarshal(out, figures)
}
