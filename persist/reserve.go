package persist

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"
)

// The reserve is a file that only takes room. When the disk is full it is given up, and what is freed takes the changes that make
// room again: deletes of what was delivered, and the checkpoint that turns them into space. Meanwhile it is a trouble, so that
// new messages are refused. Without it a disk that the store itself has filled would stay full: a delete must be written before
// anything can be removed.
const (
	reserveName = "reserve"
	// reservePart is which part of the file system the reserve takes at most; otherwise it is as large as a segment.
	reservePart = 16
)

// reserve is the committer's view of the file.
type reserve struct {
	files files
	bytes int64
	lack  error     // why it is not there; nil: it is, or nothing may be written
	retry time.Time // when to make it again
}

func newReserve(fs files, segment int64) reserve {
	return reserve{files: fs, bytes: min(segment, fs.capacity()/reservePart)}
}

// begin makes the reserve at a start, where the last process may have left it.
func (r *reserve) begin(now time.Time) {
	names, err := r.files.list()
	var f file
	if err == nil && slices.Contains(names, reserveName) {
		f, err = r.files.open(reserveName)
	} else if err == nil {
		f, err = r.files.create(reserveName)
	}
	if err == nil {
		err = f.allocate(0, r.bytes)
		_ = f.close()
	}
	if isFull(err) {
		r.give(fmt.Errorf("make room in advance: %w", err), now)
	}
}

// give gives the reserve up because of a full disk, and is false when that does not help: it is no such error, or it is gone.
func (r *reserve) give(why error, now time.Time) bool {
	if r.lack != nil || !isFull(why) {
		return false
	}
	r.lack, r.retry = why, now.Add(retryAfter)
	_ = r.files.remove(reserveName)
	return true
}

// again makes the reserve anew, when there is room for a quarter more.
func (r *reserve) again(now time.Time) {
	f, err := r.files.create(reserveName)
	if err == nil {
		if err = f.allocate(0, r.bytes+r.bytes/4); err == nil {
			_ = f.truncate(r.bytes)
		}
		_ = f.close()
	}
	if err != nil {
		_ = r.files.remove(reserveName)
		r.retry = now.Add(retryAfter)
		return
	}
	r.lack = nil
}

// isFull says whether err is of a full disk, or of a quota.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
