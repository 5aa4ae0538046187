//go:build power

package crash_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// disk is a directory as the system has it, and as the disk below may have it.
//
// What is modelled: data counts as on the disk once a sync of the file that
// began after the write has succeeded; until then, each of its sectors may be
// there or not, whatever was written before or after it. So may a new size be.
// A name that is made, moved or removed counts once its directory was synced;
// until then, the names of a directory are as they were after some of the
// changes to them, in their order. A sector is written as a whole or not at all.
type disk struct {
	// ignores, if set, are syncs that do not reach the disk.
	ignores func(path string, f *file) bool
	// wrote, if set, is told of each write, when the system has it.
	wrote func(path string, w *write)

	files map[string]*file // as the system has them
	kept  map[string]*file // as the disk has them, less the pending changes
	names []nameChange     // pending
}

// file is a file or a directory.
type file struct {
	dir     bool
	kept    []byte
	pending []*write
}

// write is one that may not be on the disk yet. Without data, and done, it sets
// the size.
type write struct {
	off  int64
	data []byte
	size int64
	done bool
}

// nameChange is one to the names of a directory.
type nameChange struct {
	dir   string
	apply func(names map[string]*file)
}

// newDisk returns the disk that holds what a directory does.
func newDisk(root string) (*disk, error) {
	d := &disk{files: make(map[string]*file)}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		f := &file{dir: entry.IsDir()}
		if !f.dir {
			if f.kept, err = os.ReadFile(path); err != nil {
				return err
			}
		}
		d.files[name] = f
		return nil
	})
	d.kept = maps.Clone(d.files)
	return d, err
}

func (d *disk) name(path string, apply func(names map[string]*file)) {
	apply(d.files)
	d.names = append(d.names, nameChange{filepath.Dir(path), apply})
}

func (d *disk) create(path string, dir bool) {
	if d.files[path] == nil {
		f := &file{dir: dir}
		d.name(path, func(names map[string]*file) { names[path] = f })
	}
}

func (d *disk) remove(path string) {
	d.name(path, func(names map[string]*file) { delete(names, path) })
}

func (d *disk) link(from, to string) {
	f := d.files[from]
	d.name(to, func(names map[string]*file) { names[to] = f })
}

func (d *disk) rename(from, to string) {
	f := d.files[from]
	d.name(to, func(names map[string]*file) {
		delete(names, from)
		names[to] = f
	})
}

// file returns the file of that name. One that has lost its name is nobody's.
func (d *disk) file(path string) *file {
	if f := d.files[path]; f != nil {
		return f
	}
	return &file{}
}

func (d *disk) write(path string, off int64, data []byte) *write {
	w := &write{off: off, data: data}
	f := d.file(path)
	f.pending = append(f.pending, w)
	return w
}

func (d *disk) size(path string, size int64) {
	f := d.file(path)
	f.pending = append(f.pending, &write{size: size, done: true})
}

// sync begins a sync, and returns what ends it.
func (d *disk) sync(path string) (finish func()) {
	f := d.file(path)
	if d.ignores != nil && d.ignores(path, f) {
		return func() {}
	}
	if f.dir {
		n := len(d.names)
		return func() {
			d.names = slices.DeleteFunc(d.names, func(c nameChange) bool {
				if n--; n < 0 || c.dir != path {
					return false
				}
				c.apply(d.kept)
				return true
			})
		}
	}
	covered := make(map[*write]bool)
	for _, w := range f.pending {
		covered[w] = w.done
	}
	return func() {
		f.pending = slices.DeleteFunc(f.pending, func(w *write) bool {
			if covered[w] {
				f.kept = w.apply(f.kept, 0, len(w.data))
			}
			return covered[w]
		})
	}
}

// apply writes a part of the data, or sets the size.
func (w *write) apply(b []byte, from, to int) []byte {
	if len(w.data) == 0 {
		if !w.done {
			return b // it has failed
		}
		if w.size < int64(len(b)) {
			return b[:w.size]
		}
		return append(b, make([]byte, w.size-int64(len(b)))...)
	}
	if end := w.off + int64(to); end > int64(len(b)) {
		b = append(b, make([]byte, end-int64(len(b)))...)
	}
	copy(b[w.off+int64(from):], w.data[from:to])
	return b
}

// luck is how a power cut goes.
type luck struct {
	random *rand.Rand
	// kept is the share of what is pending that reaches the disk, sector how
	// much goes there as a whole.
	kept   float64
	sector int
}

func newLuck(random *rand.Rand) luck {
	shares := []float64{0, 0.1, 0.5, 0.9, 1}
	return luck{random, shares[random.IntN(len(shares))], []int{512, 4096}[random.IntN(2)]}
}

func (l luck) smiles() bool { return l.random.Float64() < l.kept }

// image is what the disk holds after a power cut: directories are nil, files
// are not. dropped counts what has not got there.
func (d *disk) image(l luck) (image map[string][]byte, dropped int) {
	names := maps.Clone(d.kept)
	stopped := make(map[string]bool)
	for _, c := range d.names {
		if stopped[c.dir] = stopped[c.dir] || !l.smiles(); stopped[c.dir] {
			dropped++
			continue
		}
		c.apply(names)
	}
	image = make(map[string][]byte)
	for _, path := range slices.Sorted(maps.Keys(names)) {
		f := names[path]
		if parent := names[filepath.Dir(path)]; parent == nil || !parent.dir {
			continue
		}
		if f.dir {
			image[path] = nil
			continue
		}
		b, n := f.remains(l)
		image[path] = b
		dropped += n
	}
	return image, dropped
}

// alone is what the disk holds if the power is cut now and, of what is pending,
// it has got one write to a file.
func (d *disk) alone(path string, w *write) (image map[string][]byte) {
	image = make(map[string][]byte)
	for name, f := range d.kept {
		switch {
		case f.dir:
			image[name] = nil
		case f == d.files[path]:
			image[name] = w.apply(append(make([]byte, 0, len(f.kept)), f.kept...), 0, len(w.data))
		default:
			image[name] = append(make([]byte, 0, len(f.kept)), f.kept...)
		}
	}
	return image
}

func (f *file) remains(l luck) (b []byte, dropped int) {
	b = append(make([]byte, 0, len(f.kept)), f.kept...)
	for _, w := range f.pending {
		if len(w.data) == 0 {
			if l.smiles() {
				b = w.apply(b, 0, 0)
			} else {
				dropped++
			}
		}
		for from := 0; from < len(w.data); {
			to := min(len(w.data), from+l.sector-int((w.off+int64(from))%int64(l.sector)))
			if l.smiles() {
				b = w.apply(b, from, to)
			} else {
				dropped++
			}
			from = to
		}
	}
	return b, dropped
}

// put makes a directory hold an image.
func put(root string, image map[string][]byte) error {
	if err := os.RemoveAll(root); err != nil {
		return err
	}
	for _, path := range slices.Sorted(maps.Keys(image)) {
		name := filepath.Join(root, path)
		var err error
		if image[path] == nil {
			err = os.Mkdir(name, 0o700)
		} else {
			err = os.WriteFile(name, image[path], 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// same checks that the system's files are as the directory has them: that
// nothing was missed. Of what was on its way when the process ended, nobody
// knows.
func (d *disk) same(root string) error {
	is, err := newDisk(root)
	if err != nil {
		return err
	}
	for path := range d.files {
		if is.files[path] == nil {
			return fmt.Errorf("%s is not there", path)
		}
	}
	for path, there := range is.files {
		f := d.files[path]
		if f == nil {
			return fmt.Errorf("%s was not recorded", path)
		}
		b, _ := f.remains(luck{rand.New(rand.NewPCG(0, 0)), 2, 512})
		for _, w := range f.pending {
			if w.done || len(w.data) == 0 {
				continue
			}
			is, end := int64(len(there.kept)), w.off+int64(len(w.data))
			if w.off <= is && is < end && int64(len(b)) == end { // it was cut off
				b = b[:is]
			}
			if to := min(end, int64(len(b)), is); w.off < to {
				copy(b[w.off:to], there.kept[w.off:to])
			}
		}
		if !bytes.Equal(b, there.kept) {
			return fmt.Errorf("%s has other content than was recorded: %d bytes, %d recorded", path, len(there.kept), len(b))
		}
	}
	return nil
}
