package disktest

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// faults are what a disk does beside what it should.
type faults struct {
	mu     sync.Mutex
	write  syscall.Errno
	sync   syscall.Errno
	below  int64 // only syncs after a write below that fail
	wrote  int64 // where the last write was
	slow   time.Duration
	faster chan struct{} // closed when slow changes
	record string
	events []byte
}

// serve mounts a disk and obeys until there are no more commands.
func serve(under, on string, commands io.Reader, answers io.Writer) error {
	disk := &faults{faster: make(chan struct{})}
	loopback := &fs.LoopbackRoot{Path: under}
	root := &node{LoopbackNode: &fs.LoopbackNode{RootData: loopback}, disk: disk}
	loopback.RootNode = root
	server, err := fs.Mount(on, root, &fs.Options{MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "disktest", Name: "disktest"}})
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintln(answers, "ok")
	for lines := bufio.NewScanner(commands); lines.Scan(); {
		if err := disk.obey(strings.Fields(lines.Text())); err != nil {
			_, _ = fmt.Fprintln(answers, err)
		} else {
			_, _ = fmt.Fprintln(answers, "ok")
		}
	}
	return server.Unmount()
}

func (d *faults) obey(command []string) error {
	var n []int
	for _, word := range command[1:] {
		var number int
		if _, err := fmt.Sscan(word, &number); err == nil {
			n = append(n, number)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch command[0] {
	case "write":
		d.write = syscall.Errno(n[0])
	case "sync":
		d.below, d.sync = int64(n[0]), syscall.Errno(n[1])
	case "slow":
		d.slow = time.Duration(n[0])
		close(d.faster)
		d.faster = make(chan struct{})
	case "record":
		d.record, d.events = command[1], nil
	case "mark":
		d.note(d.record, markEvent, nil)
	case "save":
		d.record = ""
		return os.WriteFile(command[1], d.events, 0o600)
	default:
		return fmt.Errorf("unknown command %q", command[0])
	}
	return nil
}

// note records an event. The disk is locked.
func (d *faults) note(name string, off int64, data []byte) {
	if d.record != name {
		return
	}
	d.events = binary.LittleEndian.AppendUint64(d.events, uint64(off))
	d.events = binary.LittleEndian.AppendUint64(d.events, uint64(len(data)))
	d.events = append(d.events, data...)
}

// node is a file or directory.
type node struct {
	*fs.LoopbackNode
	disk *faults
}

// WrapChild makes nodes of what is below.
func (n *node) WrapChild(_ context.Context, ops fs.InodeEmbedder) fs.InodeEmbedder {
	if child, ok := ops.(*fs.LoopbackNode); ok {
		return &node{child, n.disk}
	}
	return ops
}

func (n *node) name() string {
	name, _ := n.EmbeddedInode().Parent()
	return name
}

// Open opens a file.
func (n *node) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	f, with, errno := n.LoopbackNode.Open(ctx, flags)
	return n.handle(f), with, errno
}

// Create makes a file.
func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	n.disk.mu.Lock()
	errno := n.disk.write
	n.disk.mu.Unlock()
	if errno != 0 {
		return nil, nil, 0, errno
	}
	child, f, with, errno := n.LoopbackNode.Create(ctx, name, flags, mode, out)
	if errno != 0 {
		return nil, nil, 0, errno
	}
	loopback, _ := f.(*fs.LoopbackFile)
	return child, &file{loopback, n.disk, func() string { found, _ := child.Parent(); return found }}, with, 0
}

func (n *node) handle(f fs.FileHandle) fs.FileHandle {
	if loopback, ok := f.(*fs.LoopbackFile); ok {
		return &file{loopback, n.disk, n.name}
	}
	return f
}

// Setattr changes the size, among others.
func (n *node) Setattr(ctx context.Context, f fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	size, sized := in.GetSize()
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	if sized && n.disk.write != 0 {
		return n.disk.write
	}
	errno := n.LoopbackNode.Setattr(ctx, f, in, out)
	if sized && errno == 0 {
		n.disk.note(n.name(), int64(size), nil)
	}
	return errno
}

// file is an open file.
type file struct {
	*fs.LoopbackFile
	disk *faults
	name func() string
}

// PassthroughFd keeps the kernel from going round this file system.
func (f *file) PassthroughFd() (int, bool) { return 0, false }

// Write writes, or fails.
func (f *file) Write(ctx context.Context, data []byte, off int64) (uint32, syscall.Errno) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.disk.write != 0 {
		return 0, f.disk.write
	}
	f.disk.wrote = off
	n, errno := f.LoopbackFile.Write(ctx, data, off)
	if errno == 0 {
		f.disk.note(f.name(), off, data[:n])
	}
	return n, errno
}

// Fsync syncs, sooner or later, or fails.
func (f *file) Fsync(context.Context, uint32) syscall.Errno {
	f.disk.mu.Lock()
	slow, faster := f.disk.slow, f.disk.faster
	f.disk.mu.Unlock()
	select {
	case <-time.After(slow):
	case <-faster:
	}
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.disk.sync != 0 && f.disk.wrote < f.disk.below {
		return f.disk.sync
	}
	f.disk.note(f.name(), syncEvent, nil)
	return 0 // nothing here outlives the test
}
