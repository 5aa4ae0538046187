package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	mit = `MIT License

Copyright (c) 2020 Jane Doe

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
`
	copyleft = `This program is free software: you can redistribute it and/or modify
it under the terms of the GNU General Public License as published by
the Free Software Foundation, either version 3 of the License, or
(at your option) any later version.

This program is distributed in the hope that it will be useful,
but WITHOUT ANY WARRANTY; without even the implied warranty of
MERCHANTABILITY or FITNESS FOR A PARTICULAR PURPOSE.  See the
GNU General Public License for more details.

You should have received a copy of the GNU General Public License
along with this program.  If not, see <https://www.gnu.org/licenses/>.
`
)

// repository writes a repository whose binary and whose Go client are built of one
// other module each, and returns its root. Files replace what stands there.
func repository(t *testing.T, files map[string]string) (root string) {
	t.Helper()
	root = t.TempDir()
	for name, content := range map[string]string{
		"go.mod":                    "module shop\n\ngo 1.26.0\n\nrequire example.com/dep v0.0.0\n\nreplace example.com/dep => ./dep\n",
		"cmd/session-api/main.go":   "package main\n\nimport _ \"example.com/dep/inner\"\n\nfunc main() {}\n",
		"dep/go.mod":                "module example.com/dep\n\ngo 1.26.0\n",
		"dep/LICENSE":               mit,
		"dep/inner/inner.go":        "package inner\n",
		"clients/go/go.mod":         "module shop/client\n\ngo 1.26.0\n\nrequire example.com/used v0.0.0\n\nreplace example.com/used => ./used\n",
		"clients/go/client.go":      "package client\n\nimport _ \"example.com/used\"\n",
		"clients/go/used/go.mod":    "module example.com/used\n\ngo 1.26.0\n",
		"clients/go/used/used.go":   "package used\n",
		"clients/go/used/LICENSE":   mit,
		"clients/node/package.json": "{}",
		"clients/node/package-lock.json": `{"packages": {
			"": {"license": "UNLICENSED"},
			"node_modules/a": {"license": "(MIT OR GPL-2.0-only)"},
			"node_modules/b": {"license": "BlueOak-1.0.0", "dev": true}}}`,
	} {
		if replaced, ok := files[name]; ok {
			content = replaced
		}
		writeFile(t, filepath.Join(root, name), content)
	}
	for name, content := range files {
		writeFile(t, filepath.Join(root, name), content)
	}
	return root
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
}

func TestNoticesAreWrittenAndChecked(t *testing.T) {
	root := repository(t, map[string]string{
		"dep/NOTICE":         "Made by Jane.",
		"dep/inner/COPYING":  mit + "\n",
		"dep/other/LICENSE":  copyleft, // of a package that is in no binary
		"dep/other/other.go": "package other\n",
	})
	assert.ErrorContains(t, run(t.Context(), root, false), "run make licenses")
	require.NoError(t, run(t.Context(), root, true))
	require.NoError(t, run(t.Context(), root, false))

	written, err := os.ReadFile(filepath.Join(root, noticesFile))
	require.NoError(t, err)
	assert.Contains(t, string(written), "MIT\n  example.com/dep\n  example.com/dep/inner\n")
	assert.Contains(t, string(written), "Copyright (c) 2020 Jane Doe")
	assert.Contains(t, string(written), "Made by Jane.")
	assert.NotContains(t, string(written), "example.com/used", "it is in no binary")

	require.NoError(t, os.WriteFile(filepath.Join(root, "dep", "NOTICE"), []byte("Made by Joe."), 0o600))
	assert.ErrorContains(t, run(t.Context(), root, false), "run make licenses")
}

func TestLicensesThatAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		files  map[string]string
		reason string
	}{
		"another license":            {map[string]string{"dep/LICENSE": copyleft}, "example.com/dep: LICENSE: the license GPL-3.0"},
		"two in one file":            {map[string]string{"dep/LICENSE": mit + "\n" + copyleft}, "GPL-3.0"},
		"another beneath":            {map[string]string{"dep/inner/LICENSE.md": copyleft}, "example.com/dep/inner: LICENSE.md: the license GPL-3.0"},
		"one that is not known":      {map[string]string{"dep/LICENSE": "Ask Jane before you use this, and be kind."}, "no known license"},
		"of the Go client":           {map[string]string{"clients/go/used/LICENSE": copyleft}, "example.com/used: LICENSE: the license GPL-3.0"},
		"an npm package":             {map[string]string{"clients/node/package-lock.json": `{"packages": {"node_modules/a": {"license": "AGPL-3.0-only", "dev": true}}}`}, `node_modules/a: the license "AGPL-3.0-only"`},
		"an npm package without":     {map[string]string{"clients/node/package-lock.json": `{"packages": {"node_modules/a": {}}}`}, "node_modules/a"},
		"shipped with one for tests": {map[string]string{"clients/node/package-lock.json": `{"packages": {"node_modules/a": {"license": "BlueOak-1.0.0"}}}`}, "BlueOak-1.0.0"},
	} {
		t.Run(name, func(t *testing.T) {
			root := repository(t, test.files)
			assert.ErrorContains(t, run(t.Context(), root, true), test.reason)
			assert.NoFileExists(t, filepath.Join(root, noticesFile))
		})
	}
	t.Run("none", func(t *testing.T) {
		root := repository(t, nil)
		require.NoError(t, os.Remove(filepath.Join(root, "dep", "LICENSE")))
		assert.ErrorContains(t, run(t.Context(), root, true), "example.com/dep: no license file")
	})
}

func TestExpressions(t *testing.T) {
	ids := []string{"MIT", "ISC"}
	for expression, want := range map[string]bool{
		"MIT":                      true,
		"GPL-2.0 OR MIT":           true,
		"(GPL-2.0 OR MIT)":         true,
		"MIT AND ISC":              true,
		"MIT AND GPL-2.0":          false,
		"MIT AND GPL-2.0 OR ISC":   true,
		"GPL-2.0":                  false,
		"":                         false,
		"UNLICENSED":               false,
		"SEE LICENSE IN LICENSE":   false,
		"MIT AND (ISC OR GPL-2.0)": false, // not understood
		"mit":                      false,
	} {
		assert.Equal(t, want, allowed(expression, ids), expression)
	}
}
