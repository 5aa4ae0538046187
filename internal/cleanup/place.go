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

// systemDirs are refused themselves; what lies in them may be cleaned.
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

// systemTrees are refused with all that lies in them.
var systemTrees = []string{
	"/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/sbin", "/sys",
	"/run/secrets", "/var/run/secrets",
	"/usr/bin", "/usr/games", "/usr/include", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec",
	"/usr/libx32", "/usr/sbin", "/usr/share",
	"/usr/local/bin", "/usr/local/etc", "/usr/local/include", "/usr/local/lib", "/usr/local/sbin", "/usr/local/share",

	// macOS
	"/Library", "/System", "/private/etc",
}

// sharedMemory is the one place in the tree /dev that is for anybody's files.
const sharedMemory = "/dev/shm"

// homeParents hold a directory for each user.
var homeParents = []string{"/home", "/Users"}

// sourceMarkers are in the top directory of somebody's work, for certain.
var sourceMarkers = []string{".git", "go.mod"}

// projectMarkers are in the top directory of a project, and hardly anywhere
// else.
var projectMarkers = []string{
	".git", ".gitignore", ".gitmodules", ".gitattributes", ".hg", ".svn", ".bzr", ".jj", "_darcs", "CVS", "packed-refs",
	"go.mod", "go.work", "package.json", "deno.json", "Cargo.toml", "pyproject.toml", "setup.py", "Pipfile", "requirements.txt",
	"pom.xml", "build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts", "build.sbt", "project.clj", "deps.edn",
	"composer.json", "Gemfile", "mix.exs", "rebar.config", "pubspec.yaml", "Package.swift", "stack.yaml", "cabal.project",
	"dune-project", "CMakeLists.txt", "meson.build", "Makefile", "Dockerfile", "flake.nix", "node_modules", ".terraform",
}

// isProjectMarker looks them up by name.
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

// checkPlace reports why dir, which is absolute and clean, may not be cleaned.
// It may be missing where its parent exists.
func checkPlace(dir string) error {
	if err := checkName(dir); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return checkParent(dir)
	case err != nil:
		return fmt.Errorf("%q: %w", dir, cause(err))
	case info.Mode().Type() == fs.ModeSymlink:
		return fmt.Errorf("%q: %w", dir, errSymlink)
	case !info.IsDir():
		return fmt.Errorf("%q: %w", dir, errNotDirectory)
	}
	if err := checkIdentity(dir, info); err != nil {
		return err
	}
	if target, err := filepath.EvalSymlinks(dir); err != nil {
		return fmt.Errorf("%q: %w", dir, cause(err))
	} else if err := checkName(target); err != nil {
		return fmt.Errorf("%q leads to %w", dir, err)
	}
	return checkMarkers(dir, sourceMarkers, func(name string) error {
		_, err := os.Lstat(filepath.Join(dir, name))
		return err
	})
}

// checkParent is checkPlace for a directory that is yet to be made.
func checkParent(dir string) error {
	parent, err := filepath.EvalSymlinks(filepath.Dir(dir))
	if err != nil {
		return fmt.Errorf("%q: the directory that it would be made in: %w", dir, cause(err))
	}
	if info, err := os.Stat(parent); err != nil {
		return fmt.Errorf("%q: the directory that it would be made in: %w", dir, cause(err))
	} else if !info.IsDir() {
		return fmt.Errorf("%q: the directory that it would be made in: %w", dir, errNotDirectory)
	}
	if err := checkName(filepath.Join(parent, filepath.Base(dir))); err != nil {
		return fmt.Errorf("%q leads to %w", dir, err)
	}
	return nil
}

// checkName refuses by the path alone. Errors start with the path.
func checkName(dir string) error {
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

// checkIdentity refuses what is a system directory under another name: a bind
// mount, or another spelling on a file system that ignores case.
func checkIdentity(dir string, info fs.FileInfo) error {
	for _, names := range [][]string{systemDirs, systemTrees, {os.TempDir()}, homes()} {
		for _, name := range names {
			if other, err := os.Stat(name); err == nil && os.SameFile(info, other) {
				return fmt.Errorf("%q: the same directory as %q", dir, name)
			}
		}
	}
	return nil
}

// checkMarkers refuses a directory that holds somebody's source code, as any of
// the names in it shows. lstat asks for a name in it.
func checkMarkers(dir string, names []string, lstat func(name string) error) error {
	for _, name := range names {
		if lstat(name) == nil {
			return fmt.Errorf("%q: it holds a %s, as a project does", dir, name)
		}
	}
	return nil
}

// homes are the home directories of the user that the service runs as.
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

// openDir opens the directory for a run, after the same checks as at the
// start: what stands at the path may have changed since.
func openDir(dir string) (*os.Root, fs.FileInfo, error) {
	if err := checkPlace(dir); err != nil {
		return nil, nil, err
	}
	seen, err := os.Lstat(dir)
	if err != nil {
		return nil, nil, err
	}
	// With the "/." a FIFO in the directory's place is an error, not a wait.
	root, err := os.OpenRoot(dir + "/.")
	if err != nil {
		return nil, nil, err
	}
	opened, err := root.Stat(".")
	switch {
	case err != nil:
	case !os.SameFile(seen, opened):
		err = errReplaced
	default:
		err = errors.Join(checkIdentity(dir, opened), checkMarkers(dir, projectMarkers, func(name string) error {
			_, err := root.Lstat(name)
			return err
		}))
	}
	if err != nil {
		shut(root)
		return nil, nil, err
	}
	return root, opened, nil
}

// shut closes what was only read, so that there is nothing to lose.
func shut(c io.Closer) { _ = c.Close() }

// cause is what a system call answered, without the path: names of files are
// escaped and shown apart.
func cause(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}
