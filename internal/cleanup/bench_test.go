package cleanup_test

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkRun measures a run over files that all stay, half of them because a
// session refers to them. Its yardstick, taken in turns with it, is to walk the
// tree and ask for each file's modification time, as find does.
func BenchmarkRun(b *testing.B) {
	for _, shape := range []struct{ dirs, files int }{{1, 10_000}, {1000, 10}} {
		b.Run(fmt.Sprintf("dirs=%d/files=%d", shape.dirs, shape.dirs*shape.files), func(b *testing.B) {
			dir, s := b.TempDir(), referring()
			for i := range shape.dirs {
				for k := range shape.files {
					rel := fmt.Sprintf("run-%d/file-%d.csv", i, k)
					age := fresh
					if k%2 == 0 {
						age, s.refs[rel] = old, true
					}
					write(b, dir, rel, age)
				}
			}
			j := newJob(b, dir, s)
			var run, walk time.Duration
			for b.Loop() {
				start := time.Now()
				report, err := j.Run(context.Background(), false)
				run += time.Since(start)
				require.NoError(b, err)
				require.Equal(b, shape.dirs*shape.files, report.Kept)

				start = time.Now()
				count := 0
				err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
					if err != nil || d.IsDir() {
						return err
					}
					info, err := d.Info()
					if err == nil && info.ModTime().Before(start) {
						count++
					}
					return err
				})
				walk += time.Since(start)
				require.NoError(b, err)
				require.Equal(b, shape.dirs*shape.files, count)
			}
			b.ReportMetric(run.Seconds()/walk.Seconds(), "x-walk")
			b.ReportMetric(run.Seconds()*1e9/float64(b.N*shape.dirs*shape.files), "ns/file")
		})
	}
}
