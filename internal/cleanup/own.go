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
	// Name is what an operator knows it by: the variable that names it.
	Name string
	// Path may lead there through symbolic links, and to nothing yet.
	Path string
}

// checkOwn returns an error for each of the service's own files that lies in
// the directory.
func checkOwn(dir string, own []OwnFile) error {
	var problems []error
	for _, o := range own {
		if Holds(dir, o.Path) {
			problems = append(problems, fmt.Errorf("%q holds what %s names: keep that elsewhere, or clean another directory", dir, o.Name))
		}
	}
	return errors.Join(problems...)
}

// Holds reports whether a path is that of the directory or leads into it, by
// name, through symbolic links, or because what it leads to lies in the same
// directory under another name. Neither needs to exist.
func Holds(dir, path string) bool {
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
	target := resolved(path)
	if within(dir, path) || within(resolved(dir), target) {
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

// maxLinks is how many dangling links are followed one after the other.
const maxLinks = 40

// resolved returns where a path leads, as far as it exists. A dangling link
// leads to where something may be made.
func resolved(path string) string {
	at, rest := path, ""
	for links := 0; ; {
		if target, err := filepath.EvalSymlinks(at); err == nil {
			return filepath.Join(target, rest)
		}
		if link, err := os.Readlink(at); err == nil && links < maxLinks {
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

// ownFiles are the identities of what must never be deleted, whatever name it
// has in the directory.
type ownFiles []fs.FileInfo

// ownFilesOf returns those of the paths and of all files that the process has
// open.
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
		// A directory's files are as much ours: the database, its lock, its keys.
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

// maxOwnEntries bounds how many files of one directory are looked at.
const maxOwnEntries = 64

// has reports whether a file is one of them.
func (o ownFiles) has(info fs.FileInfo) bool {
	return slices.ContainsFunc(o, func(own fs.FileInfo) bool { return os.SameFile(own, info) })
}

// standardFiles returns those among the process's standard streams that are
// regular files: its log, for one.
func standardFiles() []fs.FileInfo {
	var files []fs.FileInfo
	for _, f := range []*os.File{os.Stdin, os.Stdout, os.Stderr} {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			files = append(files, info)
		}
	}
	return files
}
