package bolt

import (
	"fmt"
	"os"
	"path/filepath"
)

// A command that an operator runs as root must leave files that the service may
// still write: what it makes in a directory belongs to whom that belongs to.

// giveOver gives the files of those names to the owner of the directory, as far as
// they are there.
func giveOver(dir string, names ...string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("the owner of the directory: %w", err)
	}
	for _, name := range names {
		if err := chownLike(filepath.Join(dir, name), info); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("giving files to the owner of the directory: %w", err)
		}
	}
	return nil
}
