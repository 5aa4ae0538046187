package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// platforms are those whose packages count, as GOOS and GOARCH: what the image is
// built for, and where people develop. The notices are then the same wherever they
// are written.
var platforms = [][2]string{{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "arm64"}, {"windows", "amd64"}}

// leastCoverage is how much of a license file has to be a known license, in
// percent: as much as pkg.go.dev asks for. The rest is names and years.
const leastCoverage = 75

var (
	licenseName = regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying)([-.].*)?$`)
	noticeName  = regexp.MustCompile(`(?i)^(notice|patents)(\..*)?$`)
)

// pkg is a package of another module, as go list prints it.
type pkg struct {
	Dir    string
	Module *struct {
		Path, Dir string
		Main      bool
	}
}

// file is a license or a notice of a module.
type file struct {
	of   string // the module, and the directory in it
	text string
	ids  []string // SPDX identifiers; none for a notice
}

// linked returns the packages of other modules that those of pattern are built of,
// on any of the platforms.
func linked(ctx context.Context, dir, pattern string) ([]pkg, error) {
	var all []pkg
	for _, platform := range platforms {
		cmd := exec.CommandContext(ctx, "go", "list", "-deps", "-json=Dir,Module", pattern) //nolint:gosec // run names it
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOOS="+platform[0], "GOARCH="+platform[1], "CGO_ENABLED=0") //nolint:forbidigo // go list needs the rest of the environment
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("listing the packages of %s for %s: %w\n%s", pattern, platform[0], err, stderr.Bytes())
		}
		for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
			var p pkg
			if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, fmt.Errorf("reading the output of go list: %w", err)
			}
			if p.Module != nil && !p.Module.Main {
				all = append(all, p)
			}
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s imports no other module: has it moved?", pattern)
	}
	return all, nil
}

// licenseFiles reads the licenses and notices of the packages: those in the
// directory of each, and in those above up to its module's. It returns a problem
// for each that is not allowed, and for each module without a license.
func licenseFiles(packages []pkg) (files []file, problems []error) {
	seen := make(map[string]bool)
	licensed, refused := make(map[string]bool), make(map[string]bool) // modules; each is refused once
	for _, p := range packages {
		for dir := p.Dir; ; dir = filepath.Dir(dir) {
			if !seen[dir] {
				seen[dir] = true
				found, err := licenseFilesIn(dir, strings.TrimSuffix(p.Module.Path+filepath.ToSlash(strings.TrimPrefix(dir, p.Module.Dir)), "/"))
				if err != nil {
					problems = append(problems, err)
					refused[p.Module.Path] = true
				}
				files = append(files, found...)
			}
			if dir == p.Module.Dir || len(dir) < len(p.Module.Dir) {
				break
			}
		}
	}
	for _, f := range files {
		licensed[f.of] = licensed[f.of] || len(f.ids) > 0
	}
	for _, p := range packages {
		if !licensed[p.Module.Path] && !refused[p.Module.Path] {
			problems = append(problems, fmt.Errorf("%s: no license file", p.Module.Path))
			refused[p.Module.Path] = true
		}
	}
	return files, problems
}

// licenseFilesIn reads the licenses and notices in one directory.
func licenseFilesIn(dir, of string) (files []file, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		isLicense := licenseName.MatchString(entry.Name())
		if entry.Type()&fs.ModeType != 0 || !isLicense && !noticeName.MatchString(entry.Name()) {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, entry.Name())) //nolint:gosec // of a module that is linked
		if err != nil {
			return nil, err
		}
		text := file{of: of, text: strings.TrimSpace(strings.ReplaceAll(string(content), "\r\n", "\n"))}
		if isLicense {
			if text.ids, err = identify(content); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", of, entry.Name(), err)
			}
		}
		files = append(files, text)
	}
	return files, nil
}

// identify returns the SPDX identifiers of the licenses in a text. It is an error
// if too much of it is no known license, or if one of them is not allowed.
func identify(text []byte) (ids []string, err error) {
	coverage := licensecheck.Scan(text)
	for _, match := range coverage.Match {
		if match.IsURL {
			continue
		}
		if !slices.Contains(shippedLicenses, match.ID) {
			return nil, fmt.Errorf("the license %s is not allowed", match.ID)
		}
		if !slices.Contains(ids, match.ID) {
			ids = append(ids, match.ID)
		}
	}
	if coverage.Percent < leastCoverage || len(ids) == 0 {
		return nil, fmt.Errorf("no known license (%.0f %% of the text)", coverage.Percent)
	}
	slices.Sort(ids)
	return ids, nil
}
