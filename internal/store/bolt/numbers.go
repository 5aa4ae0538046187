package bolt

// The numbers of the log's entries follow each other without a gap: each one is one
// more than the last, and entries go at the beginning only. That shows what no
// checksum does: that the file was copied while it was written, so that its pages
// are of different moments, and one may be missing between others that are whole.

// checkNumbers returns what is wrong with the numbers of the entries.
func (c *content) checkNumbers() error {
	if c.entries == 0 || c.last-c.first == uint64(c.entries)-1 { //nolint:gosec // it counts
		return nil
	}
	return damaged("%d records are missing; it may have been copied while it was written",
		int64(c.last-c.first+1)-c.entries) //nolint:gosec // entries that there were
}
