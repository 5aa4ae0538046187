//go:build !unix

package bolt

import "os"

// chownLike does nothing: there is nobody to give anything to.
func chownLike(string, os.FileInfo) error { return nil }
