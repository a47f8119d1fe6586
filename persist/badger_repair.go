package persist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// A damaged directory is not changed. What is sound of it is put together in DIR.new, tables by a link where the file system
// has links; then DIR becomes DIR.damaged-TIME and DIR.new becomes DIR. DIR.new has a MANIFEST when it is complete.
//
// What is lost with a block of a table: changes. A record that was put there is missing, or an older value of it appears; one
// that was deleted there appears again. So a retained message may have an earlier value, and a message that was delivered and
// acknowledged may be delivered once more, also one of QoS 2. Bodies and records that nothing refers to are removed by
// Restore. Serving less, or nothing, would lose what is sound.

const badgerRepairDir = ".new"

// badgerFinishRepair ends a repair that was interrupted between its renames, and removes one that was not complete.
func badgerFinishRepair(dir string) error {
	fresh := dir + badgerRepairDir
	if _, err := os.Lstat(fresh); err != nil {
		return nil
	}
	_, missing := os.Lstat(dir)
	_, incomplete := os.Stat(filepath.Join(fresh, badgerManifest))
	if errors.Is(missing, os.ErrNotExist) && incomplete == nil {
		return os.Rename(fresh, dir)
	}
	if err := os.RemoveAll(fresh); err != nil {
		return fmt.Errorf("remove %s, which a repair has left: %w", fresh, err)
	}
	return nil
}

// repair puts what is readable of e.tables in the place of the directory, and tells what was kept.
func (e *badgerEngine) repair(damage []string) ([]string, error) {
	fresh := &badgerEngine{dir: e.dir + badgerRepairDir, opt: e.opt, nextID: e.nextID}
	if err := os.MkdirAll(fresh.dir, 0o700); err != nil {
		return nil, err
	}
	notes := append([]string(nil), damage...)
	var tables []badgerTable
	for i := range e.tables {
		t := &e.tables[i]
		if !t.damaged {
			if err := badgerCopy(e.path(t.id), fresh.path(t.id)); err != nil {
				return nil, err
			}
			tables = append(tables, *t)
			continue
		}
		w := badgerWriter{e: fresh, level: t.level}
		kept, lost, err := badgerSalvageFile(e.path(t.id), w.add)
		if err == nil {
			err = w.finish()
		}
		if err != nil {
			return nil, err
		}
		tables = append(tables, w.done...)
		notes = append(notes, fmt.Sprintf("%s: %d records of it are kept; %s", filepath.Base(e.path(t.id)), kept, lost))
	}
	if err := badgerSyncDir(fresh.dir); err != nil {
		return nil, err
	}
	if _, err := badgerWriteManifest(fresh.dir, tables); err != nil {
		return nil, err
	}
	aside := badgerAside(e.dir)
	if err := os.Rename(e.dir, aside); err != nil {
		return nil, err
	}
	if err := os.Rename(fresh.dir, e.dir); err != nil {
		return nil, err
	}
	if err := badgerSyncDir(filepath.Dir(e.dir)); err != nil {
		return nil, err
	}
	e.tables, e.nextID = tables, fresh.nextID
	return append(notes, fmt.Sprintf("The directory with the damage is kept as %s; what is sound of it is served.", aside)), nil
}

// badgerAside is a name for the directory that is not taken.
func badgerAside(dir string) string {
	name := dir + ".damaged-" + time.Now().UTC().Format("20060102T150405Z")
	for i := 2; ; i++ {
		if _, err := os.Lstat(name); errors.Is(err, os.ErrNotExist) {
			return name
		}
		name = fmt.Sprintf("%s.damaged-%s-%d", dir, time.Now().UTC().Format("20060102T150405Z"), i)
	}
}

// badgerCopy makes to the same file as from, which is not written any more, or a copy where there are no links.
func badgerCopy(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err == nil {
		err = out.Sync()
	}
	if closed := out.Close(); err == nil {
		err = closed
	}
	return err
}

// badgerSalvageMax is how much is read of a table that has no index: one of ours is much smaller.
const badgerSalvageMax = 64 << 20

// badgerSalvageFile gives the readable records of a table to add, in order; lost says what was not. An error is one of add.
func badgerSalvageFile(path string, add func(*badgerRecord) error) (kept int, lost string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, "there is no such file, or it cannot be opened", nil
	}
	defer f.Close()
	s, err := f.Stat()
	if err != nil || !s.Mode().IsRegular() {
		return 0, "it is not a file", nil
	}
	return badgerSalvage(f, s.Size(), add)
}

func badgerSalvage(f io.ReaderAt, size int64, add func(*badgerRecord) error) (kept int, lost string, err error) {
	var last badgerRecord
	some := false
	take := func(block []byte) (whole bool, err error) {
		var b badgerEntries
		if b.open(block) != nil {
			return false, nil
		}
		for b.i < b.n {
			if b.next() != nil {
				return false, nil
			}
			if some && !badgerBefore(&last, &b.record) {
				continue // out of order: a table has none of that
			}
			if err := add(&b.record); err != nil {
				return false, err
			}
			some, kept = true, kept+1
			last.key, last.version = append(last.key[:0], b.record.key...), b.record.version
		}
		return true, nil
	}
	blocks, err := badgerReadIndex(f, size)
	if err != nil {
		data, _ := io.ReadAll(io.NewSectionReader(f, 0, min(size, badgerSalvageMax))) // as far as it can be read
		end, err := badgerScan(data, take)
		return kept, fmt.Sprintf("nothing behind byte %d is readable", end), err
	}
	bad := 0
	for _, b := range blocks {
		data := make([]byte, b.size)
		_, err := f.ReadAt(data, b.offset)
		whole := err == nil
		if whole {
			if whole, err = take(data); err != nil {
				return kept, "", err
			}
		}
		if !whole {
			bad++
		}
	}
	return kept, fmt.Sprintf("%d of its %d blocks are not readable", bad, len(blocks)), nil
}

// badgerScan finds the blocks of a table without its index: a block begins where the one before ends, and ends where its
// checksum holds. It stops at the first one that is damaged, as nothing shows where the next begins.
func badgerScan(data []byte, take func(block []byte) (bool, error)) (end int, err error) {
	for {
		found := false
		rest := data[end:]
		for n := 16; n <= len(rest) && n <= badgerScanBlock; n++ {
			sum := binary.BigEndian.Uint32(rest[n-4:])
			if sum < 2 || sum > 12 || int(sum)+12 > n || rest[n-4-int(sum)] != badgerSumField {
				continue
			}
			body := rest[:n-4-int(sum)]
			if count := binary.BigEndian.Uint32(body[len(body)-4:]); count == 0 || uint64(count)*4 > uint64(len(body)) {
				continue
			}
			if !badgerChecksum(rest[len(body):n-4], body) {
				continue
			}
			if found, err = take(rest[:n]); err != nil {
				return end, err
			}
			if found {
				end += n
			}
			break
		}
		if !found {
			return end, nil
		}
	}
}

const (
	badgerScanBlock = 512 << 10 // a block with the longest key and value is shorter
	badgerSumField  = 2 << 3    // the tag of the sum in a checksum whose algorithm is CRC32C
)
