package persist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/dgraph-io/badger/v4/pb"
	"google.golang.org/protobuf/proto"
)

// The MANIFEST: magic, then sets of changes, each with its length and CRC32C. We write one set, which creates the tables that
// there are.
//
//	+--------+---------+---------+ +----------+----------+---------------------+
//	| "Bdgr" | 0 (2 B) | 8 (2 B) | | len 4 B  | CRC 4 B  | ManifestChangeSet   |
//	+--------+---------+---------+ +----------+----------+---------------------+
const (
	badgerManifest     = "MANIFEST"
	badgerManifestTemp = "MANIFEST-REWRITE"
	badgerMagic        = "Bdgr\x00\x00\x00\x08"
	badgerManifestMax  = 64 << 20 // bytes; more is not read. Two million tables
	badgerLevels       = 7
	badgerLast         = badgerLevels - 1
)

// badgerDamage is an error of what is stored, as opposed to one of reading it.
type badgerDamage string

func (d badgerDamage) Error() string { return string(d) }

// badgerIsDamage tells whether err is of the file: it is not there, not whole, or the disk cannot read it. Other errors
// (rights, descriptors, memory) say nothing about the file, so it is not set aside for them.
func badgerIsDamage(err error) bool {
	var d badgerDamage
	return errors.As(err, &d) || errors.Is(err, os.ErrNotExist) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.EIO) || errors.Is(err, syscall.EUCLEAN) || errors.Is(err, syscall.EISDIR) || errors.Is(err, syscall.ENXIO)
}

var badgerCRC = crc32.MakeTable(crc32.Castagnoli)

// badgerReadManifest gives the tables with their number and level.
func badgerReadManifest(dir string) ([]badgerTable, error) {
	f, err := os.Open(filepath.Join(dir, badgerManifest))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, badgerManifestMax+1))
	if err != nil {
		return nil, err
	}
	return badgerParseManifest(data)
}

// badgerParseManifest is stricter than Badger, which takes a MANIFEST that ends early for a shorter one: every table that is
// not named would be removed. Ours is never written in part.
func badgerParseManifest(data []byte) ([]badgerTable, error) {
	if len(data) < len(badgerMagic)+8 || len(data) > badgerManifestMax || string(data[:len(badgerMagic)]) != badgerMagic {
		return nil, badgerDamage("it is not a manifest of Badger 4")
	}
	levels := map[uint64]uint8{}
	for data = data[len(badgerMagic):]; len(data) > 0; {
		if len(data) < 8 {
			return nil, badgerDamage("it is cut off")
		}
		n, sum := binary.BigEndian.Uint32(data), binary.BigEndian.Uint32(data[4:])
		data = data[8:]
		if uint64(n) > uint64(len(data)) {
			return nil, badgerDamage("it is cut off")
		}
		if crc32.Checksum(data[:n], badgerCRC) != sum {
			return nil, badgerDamage("its checksum is wrong")
		}
		var set pb.ManifestChangeSet
		if err := proto.Unmarshal(data[:n], &set); err != nil {
			return nil, badgerDamage("its content is wrong")
		}
		data = data[n:]
		for _, c := range set.Changes {
			switch {
			case c.Op == pb.ManifestChange_DELETE:
				delete(levels, c.Id)
			case c.Op != pb.ManifestChange_CREATE || c.Level >= badgerLevels:
				return nil, badgerDamage("it has an unknown change")
			case c.KeyId != 0 || c.Compression != 0:
				return nil, badgerDamage("it names compressed or encrypted tables, which the broker does not write")
			default:
				levels[c.Id] = uint8(c.Level)
			}
		}
	}
	tables := make([]badgerTable, 0, len(levels))
	for id, level := range levels {
		tables = append(tables, badgerTable{id: id, level: level})
	}
	slices.SortFunc(tables, func(a, b badgerTable) int { return badgerCompare(a.id, b.id) })
	return tables, nil
}

func badgerCompare(a, b uint64) int {
	if a < b {
		return -1
	}
	if a > b {
		return 1
	}
	return 0
}

// badgerWriteManifest replaces the MANIFEST. It survives a power cut when err is nil; replaced tells whether it was renamed
// into its place.
func badgerWriteManifest(dir string, tables []badgerTable) (replaced bool, err error) {
	var set pb.ManifestChangeSet
	for i := range tables {
		set.Changes = append(set.Changes, &pb.ManifestChange{Id: tables[i].id, Level: uint32(tables[i].level)})
	}
	body, err := proto.Marshal(&set)
	if err != nil {
		return false, err
	}
	data := append([]byte(badgerMagic), make([]byte, 8)...)
	binary.BigEndian.PutUint32(data[len(badgerMagic):], uint32(len(body)))
	binary.BigEndian.PutUint32(data[len(badgerMagic)+4:], crc32.Checksum(body, badgerCRC))
	temp := filepath.Join(dir, badgerManifestTemp)
	if err := badgerWriteFile(temp, append(data, body...)); err != nil {
		return false, err
	}
	if err := os.Rename(temp, filepath.Join(dir, badgerManifest)); err != nil {
		return false, err
	}
	return true, badgerSyncDir(dir)
}

// badgerWriteFile writes and syncs a file of its own, and leaves none when that fails. The directory is the caller's to sync.
func badgerWriteFile(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		_ = os.Remove(path)
		return fmt.Errorf("store records: %w", err)
	}
	return nil
}
