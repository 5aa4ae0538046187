package cleanup

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
)

// systemDirs must not be cleaned; directories beneath them may be.
var systemDirs = []string{
	"/",
	"/dev/shm",
	"/home",
	"/lost+found",
	"/media",
	"/mnt",
	"/opt",
	"/root",
	"/run", "/run/lock", "/run/shm", "/run/user",
	"/srv",
	"/tmp",
	"/usr", "/usr/local", "/usr/src",
	"/var", "/var/backups", "/var/cache", "/var/lib", "/var/local", "/var/lock", "/var/log",
	"/var/mail", "/var/opt", "/var/run", "/var/spool", "/var/tmp", "/var/www",

	// macOS
	"/Applications", "/Users", "/Volumes", "/private", "/private/tmp", "/private/var", "/private/var/tmp",
}

// systemTrees must not be cleaned, nor anything beneath them.
var systemTrees = []string{
	"/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/sbin", "/sys",
	"/run/secrets", "/var/run/secrets",
	"/usr/bin", "/usr/games", "/usr/include", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec",
	"/usr/libx32", "/usr/sbin", "/usr/share",
	"/usr/local/bin", "/usr/local/etc", "/usr/local/include", "/usr/local/lib", "/usr/local/sbin", "/usr/local/share",

	// macOS
	"/Library", "/System", "/private/etc",
}

// sharedMemory is a directory in the tree /dev that may be used for files.
const sharedMemory = "/dev/shm"

// homeParents contain the home directories.
var homeParents = []string{"/home", "/Users"}

// sourceMarkers are files that only the top directory of source code has.
var sourceMarkers = []string{".git", "go.mod"}

// projectMarkers are files that the top directory of a project has, and hardly any
// other directory.
var projectMarkers = []string{
	".git", ".gitignore", ".gitmodules", ".gitattributes", ".hg", ".svn", ".bzr", ".jj", "_darcs", "CVS", "HEAD", "packed-refs",
	"go.mod", "go.work", "package.json", "deno.json", "Cargo.toml", "pyproject.toml", "setup.py", "Pipfile", "requirements.txt",
	"pom.xml", "build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts", "build.sbt", "project.clj", "deps.edn",
	"composer.json", "Gemfile", "mix.exs", "rebar.config", "pubspec.yaml", "Package.swift", "stack.yaml", "cabal.project",
	"dune-project", "CMakeLists.txt", "meson.build", "Makefile", "Dockerfile", "flake.nix", "node_modules", ".terraform",
}

// isProjectMarker is the set of projectMarkers.
var isProjectMarker = func() map[string]bool {
	found := make(map[string]bool, len(projectMarkers))
	for _, name := range projectMarkers {
		found[name] = true
	}
	return found
}()

var (
	errNotDirectory = errors.New("not a directory")
	errSymlink      = errors.New("a symbolic link: name the directory that it leads to")
)

// checkDirectory returns an error if dir, an absolute and clean path, must not be
// cleaned. The directory may be missing if its parent exists.
func checkDirectory(dir string) error {
	if err := checkPath(dir); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return checkParent(dir)
	case err != nil:
		return fmt.Errorf("%q: %w", dir, withoutPath(err))
	case info.Mode().Type() == fs.ModeSymlink:
		return fmt.Errorf("%q: %w", dir, errSymlink)
	case !info.IsDir():
		return fmt.Errorf("%q: %w", dir, errNotDirectory)
	}
	if err := checkAlias(dir, info); err != nil {
		return err
	}
	if target, err := filepath.EvalSymlinks(dir); err != nil {
		return fmt.Errorf("%q: %w", dir, withoutPath(err))
	} else if err := checkPath(target); err != nil {
		return fmt.Errorf("%q leads to %w", dir, err)
	}
	return checkNotProject(dir, sourceMarkers, func(name string) error {
		_, err := os.Lstat(filepath.Join(dir, name))
		return err
	})
}

// checkParent is checkDirectory for a directory that does not exist yet.
func checkParent(dir string) error {
	parent, err := filepath.EvalSymlinks(filepath.Dir(dir))
	if err != nil {
		return fmt.Errorf("%q: the directory that it would be made in: %w", dir, withoutPath(err))
	}
	if info, err := os.Stat(parent); err != nil {
		return fmt.Errorf("%q: the directory that it would be made in: %w", dir, withoutPath(err))
	} else if !info.IsDir() {
		return fmt.Errorf("%q: the directory that it would be made in: %w", dir, errNotDirectory)
	}
	if err := checkPath(filepath.Join(parent, filepath.Base(dir))); err != nil {
		return fmt.Errorf("%q leads to %w", dir, err)
	}
	return nil
}

// checkPath checks the path alone. Errors start with the path.
func checkPath(dir string) error {
	inTree := func(tree string) bool { return within(tree, dir) }
	switch {
	case slices.Contains(systemDirs, dir) || dir == filepath.Clean(os.TempDir()):
		return fmt.Errorf("%q: a system directory", dir)
	case slices.ContainsFunc(systemTrees, inTree) && (dir == sharedMemory || !within(sharedMemory, dir)):
		return fmt.Errorf("%q: in a system directory", dir)
	case slices.Contains(homeParents, filepath.Dir(dir)):
		return fmt.Errorf("%q: a home directory", dir)
	}
	for _, home := range homes() {
		if within(dir, home) {
			return fmt.Errorf("%q: a home directory, or one that holds it", dir)
		}
	}
	if program, err := os.Executable(); err == nil && within(dir, program) {
		return fmt.Errorf("%q: it holds the running program", dir)
	}
	return nil
}

// checkAlias refuses a system directory under another name: a bind mount, or another
// spelling on a case-insensitive file system.
func checkAlias(dir string, info fs.FileInfo) error {
	for _, names := range [][]string{systemDirs, systemTrees, {os.TempDir()}, homes()} {
		for _, name := range names {
			if other, err := os.Stat(name); err == nil && os.SameFile(info, other) {
				return fmt.Errorf("%q: the same directory as %q", dir, name)
			}
		}
	}
	return nil
}

// checkNotProject refuses a directory that holds source code, as any of the names in it
// shows. lstat returns nil if the name exists in it.
func checkNotProject(dir string, names []string, lstat func(name string) error) error {
	for _, name := range names {
		if lstat(name) == nil {
			return fmt.Errorf("%q: it holds a %s, as a project does", dir, name)
		}
	}
	return nil
}

// homes returns the home directories of the user that the service runs as.
func homes() []string {
	var found []string
	if home, err := os.UserHomeDir(); err == nil {
		found = append(found, home)
	}
	if u, err := user.Current(); err == nil {
		found = append(found, u.HomeDir)
	}
	return slices.DeleteFunc(found, func(home string) bool { return !filepath.IsAbs(home) })
}

// within reports whether the path is the directory or lies in it.
func within(dir, path string) bool {
	path = filepath.Clean(path)
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// openDir opens the directory for a run, after the same checks as at the start: another
// directory may be at the path by now.
func openDir(dir string) (*os.Root, fs.FileInfo, error) {
	if err := checkDirectory(dir); err != nil {
		return nil, nil, err
	}
	seen, err := os.Lstat(dir)
	if err != nil {
		return nil, nil, err
	}
	// The "/." makes opening a FIFO that replaced it fail, and not block.
	root, err := os.OpenRoot(dir + "/.")
	if err != nil {
		return nil, nil, err
	}
	opened, err := root.Stat(".")
	switch {
	case err != nil:
	case !os.SameFile(seen, opened):
		err = errReplacedDuringRun
	default:
		err = errors.Join(checkAlias(dir, opened), checkNotProject(dir, projectMarkers, func(name string) error {
			_, err := root.Lstat(name)
			return err
		}))
	}
	if err != nil {
		closeReader(root)
		return nil, nil, err
	}
	return root, opened, nil
}

// closeReader closes what was only read: an error loses no data.
func closeReader(c io.Closer) { _ = c.Close() }

// withoutPath returns the error of a system call without the path: names of files are
// escaped and reported apart.
func withoutPath(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}
