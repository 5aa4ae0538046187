package cleanup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// OwnFile is a file or directory that the service itself needs.
type OwnFile struct {
	// Name is the setting that names it.
	Name string
	// Path may contain symbolic links, and need not exist.
	Path string
}

// checkOwn returns an error for each of the service's own files that lies in dir.
func checkOwn(dir string, own []OwnFile) error {
	var problems []error
	for _, o := range own {
		if Contains(dir, o.Path) {
			problems = append(problems, fmt.Errorf("%q holds what %s names: keep that elsewhere, or clean another directory", dir, o.Name))
		}
	}
	return errors.Join(problems...)
}

// Contains reports whether a path is that of the directory or lies in it: by name,
// through symbolic links, or because the directory has another name there. Neither
// needs to exist.
func Contains(dir, path string) bool {
	if path == "" {
		return false
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return false
	}
	if path, err = filepath.Abs(path); err != nil {
		return false
	}
	target := resolveLinks(path)
	if within(dir, path) || within(resolveLinks(dir), target) {
		return true
	}
	info, err := os.Stat(dir)
	if err != nil {
		return false
	}
	for {
		if above, err := os.Stat(target); err == nil && os.SameFile(info, above) {
			return true
		}
		next := filepath.Dir(target)
		if next == target {
			return false
		}
		target = next
	}
}

// maxDanglingLinks bounds a chain of dangling links that is followed.
const maxDanglingLinks = 40

// resolveLinks resolves symbolic links as far as the path exists. A dangling link is
// resolved to its target, which may be created.
func resolveLinks(path string) string {
	at, rest := path, ""
	for links := 0; ; {
		if target, err := filepath.EvalSymlinks(at); err == nil {
			return filepath.Join(target, rest)
		}
		if link, err := os.Readlink(at); err == nil && links < maxDanglingLinks {
			links++
			if !filepath.IsAbs(link) {
				link = filepath.Join(filepath.Dir(at), link)
			}
			at = link
			continue
		}
		above := filepath.Dir(at)
		if above == at {
			return filepath.Join(at, rest)
		}
		at, rest = above, filepath.Join(filepath.Base(at), rest)
	}
}

// ownFiles identify files that must never be deleted, whatever their name in the
// directory.
type ownFiles []fs.FileInfo

// ownFilesOf returns the files at the paths and all files that the process has open.
func ownFilesOf(own []OwnFile) ownFiles {
	files := openFiles()
	for _, o := range own {
		info, err := os.Stat(o.Path)
		if err != nil {
			continue
		}
		if files = append(files, info); !info.IsDir() {
			continue
		}
		// The files of a directory count too: the database, its lock, its keys.
		entries, err := os.ReadDir(o.Path)
		if err != nil {
			continue
		}
		for _, entry := range entries[:min(len(entries), maxOwnEntries)] {
			if info, err := os.Stat(filepath.Join(o.Path, entry.Name())); err == nil {
				files = append(files, info)
			}
		}
	}
	return files
}

// maxOwnEntries bounds the files of one directory that are protected.
const maxOwnEntries = 64

// has reports whether a file is one of them.
func (o ownFiles) has(info fs.FileInfo) bool {
	return slices.ContainsFunc(o, func(own fs.FileInfo) bool { return os.SameFile(own, info) })
}

// standardFiles returns the standard streams of the process that are regular files.
func standardFiles() []fs.FileInfo {
	var files []fs.FileInfo
	for _, f := range []*os.File{os.Stdin, os.Stdout, os.Stderr} {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			files = append(files, info)
		}
	}
	return files
}
