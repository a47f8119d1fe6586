package persist

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/badger/v4/y"
	"google.golang.org/protobuf/proto"
)

// badgerTable is one table file. It is immutable; what is beside id and level was read from it or written to it.
type badgerTable struct {
	id          uint64
	level       uint8
	damaged     bool
	size        int64  // bytes of the file
	version     uint64 // the highest of its records
	first, last []byte // keys, without their version
	kinds       []badgerKind
	records     int64
}

// badgerKind counts the records of a table whose keys begin with one byte.
type badgerKind struct {
	first       byte
	puts, bytes int64 // bytes as in the file, about
	deletes     int64
}

// badgerRecordBytes is what a record takes in a table beside its key and value.
const badgerRecordBytes = 4 + 4 + 3 + 8

func (t *badgerTable) count(r *badgerRecord) {
	if t.records == 0 {
		t.first = bytes.Clone(r.key)
	}
	t.records++
	t.version = max(t.version, r.version)
	var first byte
	if len(r.key) > 0 {
		first = r.key[0]
	}
	n := len(t.kinds) // keys ascend, so the kind is the last one or new
	if n == 0 || t.kinds[n-1].first != first {
		t.kinds = append(t.kinds, badgerKind{first: first})
		n++
	}
	k := &t.kinds[n-1]
	if r.meta&badgerDeleted != 0 {
		k.deletes++
		return
	}
	k.puts++
	k.bytes += int64(len(r.key) + len(r.value) + badgerRecordBytes)
}

// badgerWriter makes tables of records that come in order. The caller syncs the directory.
type badgerWriter struct {
	e     *badgerEngine
	level uint8

	b    *table.Builder // of the table that is being filled; nil: none
	t    badgerTable
	last []byte
	size int64
	room int64 // of the builder's buffer
	key  []byte

	done []badgerTable
}

// badgerBlockSize is what a block has beside a single longer entry; badgerBlockBuffer what the builder takes for it.
const (
	badgerBlockSize   = 4096
	badgerBlockBuffer = badgerBlockSize + 256
)

// badgerTakes bounds how much of its buffer the builder takes for a record. The buffer must never be full: on a 32-bit machine
// ristretto's Allocator.Allocate (v2.2.0) then shifts an int by 32 and begins anew, over the blocks it holds. Of the blocks
// with short entries, two neighbours are longer than a block together. A longer entry has a block of its own, which doubles.
func badgerTakes(r *badgerRecord) int64 {
	key, value := int64(len(r.key)+8), int64(len(r.value)+3)
	if entry := key + value + 32; entry < badgerBlockSize {
		return entry*2 + entry/2
	}
	takes, size, end := int64(2*badgerBlockBuffer), int64(badgerBlockBuffer), int64(4)
	for _, n := range [...]int64{key, value, 4, 4, 16, 4} {
		if size-end < n {
			size = max(2*size, end+n)
			takes += size
		}
		end += n
	}
	return takes
}

func (w *badgerWriter) add(r *badgerRecord) error {
	takes := badgerTakes(r)
	if w.b != nil && (w.size >= w.e.opt.tableBytes || w.room < takes) {
		if err := w.cut(); err != nil {
			return err
		}
	}
	if w.b == nil {
		buffer := max(2*w.e.opt.tableBytes, takes+2*badgerBlockBuffer)
		w.b = table.NewTableBuilder(table.Options{TableSize: uint64(buffer+1) / 2, BlockSize: badgerBlockSize})
		w.t, w.size, w.room = badgerTable{id: w.e.nextID, level: w.level}, 0, buffer-2*badgerBlockBuffer
		w.e.nextID++
	}
	w.room -= takes
	w.key = binary.BigEndian.AppendUint64(append(w.key[:0], r.key...), ^r.version)
	v := y.ValueStruct{Meta: r.meta, UserMeta: r.user, Value: r.value}
	if r.meta&badgerDeleted != 0 {
		w.b.AddStaleKey(w.key, v, 0)
	} else {
		w.b.Add(w.key, v, 0)
	}
	w.t.count(r)
	w.last = append(w.last[:0], r.key...)
	w.size += int64(len(r.key) + len(r.value) + badgerRecordBytes)
	return nil
}

// cut ends the table that is being filled, if there is one, and puts it on the disk.
func (w *badgerWriter) cut() error {
	if w.b == nil {
		return nil
	}
	data := w.b.Finish()
	w.b.Close()
	w.b = nil
	if err := badgerWriteFile(w.e.path(w.t.id), data); err != nil {
		return err
	}
	w.t.size = int64(len(data))
	w.t.last = bytes.Clone(w.last)
	w.done = append(w.done, w.t)
	return nil
}

func (w *badgerWriter) finish() error { return w.cut() }

// discard removes the tables that were written.
func (w *badgerWriter) discard() {
	if w.b != nil {
		w.b.Close()
		w.b = nil
	}
	for i := range w.done {
		_ = os.Remove(w.e.path(w.done[i].id))
	}
	w.done = nil
}

// A table file, written by Badger's builder:
//
//	+---------+---------+-----+-------+-----------+----------+--------------+
//	| block 1 | block 2 | ... | index | len (4 B) | checksum | its len (4 B)|
//	+---------+---------+-----+-------+-----------+----------+--------------+
//
// The index is a flatbuffer with offset, length and first key of each block; its checksum a protobuf with the CRC32C. A block
// ends with where its entries begin, how many they are, and a checksum of the same kind:
//
//	+-------+-------+-----+-----------------+------------+----------+---------------+
//	| entry | entry | ... | offsets (4 B LE)| count (4 B)| checksum | its len (4 B) |
//	+-------+-------+-----+-----------------+------------+----------+---------------+
//
// An entry: bytes it shares with the first key of the block (2 B LE), bytes of its own (2 B LE), those bytes, meta, user meta,
// expiry (varint, 0), value. A key ends with its version, inverted, so that higher versions come first. Lengths are big
// endian where nothing else is said.
type badgerBlock struct {
	offset, size int64
	key          []byte // the first one, with its version
}

const (
	badgerIndexMax = 64 << 20 // bytes of an index that are read; a table of ours has less than one MiB
	badgerBlockMax = 64 << 20 // of a block; one of ours has a value of 256 KiB at most, and a key
	badgerReadSize = 32 << 10 // at least so much is read at once
)

// badgerChecksum tells whether sum, a checksum as Badger writes it, is that of data.
func badgerChecksum(sum, data []byte) bool {
	var c pb.Checksum
	if err := proto.Unmarshal(sum, &c); err != nil || c.Algo != pb.Checksum_CRC32C {
		return false
	}
	return c.Sum == uint64(crc32.Checksum(data, badgerCRC))
}

// badgerReadIndex gives the blocks, which cover the file up to its index. A flatbuffer is trusted when its checksum holds, but
// for a panic.
func badgerReadIndex(f io.ReaderAt, size int64) (blocks []badgerBlock, err error) {
	defer func() {
		if p := recover(); p != nil {
			blocks, err = nil, badgerDamage(fmt.Sprintf("its index is wrong: %v", p))
		}
	}()
	var b [4]byte
	at := size
	tail := func(n int64) ([]byte, error) {
		if at -= n; at < 0 {
			return nil, badgerDamage("it is cut off")
		}
		out := b[:]
		if n > 4 {
			out = make([]byte, n)
		}
		_, err := f.ReadAt(out[:n], at)
		return out[:n], err
	}
	n, err := tail(4)
	if err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(n)
	if length < 2 || length > 64 {
		return nil, badgerDamage("its footer is wrong")
	}
	sum, err := tail(int64(length))
	if err != nil {
		return nil, err
	}
	sum = bytes.Clone(sum)
	if n, err = tail(4); err != nil {
		return nil, err
	}
	if length = binary.BigEndian.Uint32(n); length < 8 || length > badgerIndexMax {
		return nil, badgerDamage("its footer is wrong")
	}
	index, err := tail(int64(length))
	if err != nil {
		return nil, err
	}
	if !badgerChecksum(sum, index) {
		return nil, badgerDamage("the checksum of its index is wrong")
	}
	root := fb.GetRootAsTableIndex(index, 0)
	count := root.OffsetsLength()
	if count <= 0 || count > len(index) {
		return nil, badgerDamage("its index is empty")
	}
	blocks = make([]badgerBlock, count)
	var end int64
	for i := range blocks {
		var o fb.BlockOffset
		if !root.Offsets(&o, i) || int64(o.Offset()) != end || o.Len() == 0 || o.Len() > badgerBlockMax || o.KeyLength() < 8 {
			return nil, badgerDamage("its index is wrong")
		}
		blocks[i] = badgerBlock{offset: end, size: int64(o.Len()), key: o.KeyBytes()}
		end += int64(o.Len())
	}
	if end != at {
		return nil, badgerDamage("its index is wrong")
	}
	return blocks, nil
}

// badgerEntries iterates a block in memory. Key and value of record alias the block, or key the buffer of the iterator.
type badgerEntries struct {
	data    []byte // entries alone
	offsets []byte
	i, n    int
	base    []byte // first key, with its version
	key     []byte
	record  badgerRecord
}

// open checks the block and stands before its first entry.
func (b *badgerEntries) open(block []byte) error {
	wrong := badgerDamage("the checksum of a block is wrong")
	if len(block) < 12 {
		return wrong
	}
	n := int64(binary.BigEndian.Uint32(block[len(block)-4:]))
	if n < 2 || n > int64(len(block))-8 {
		return wrong
	}
	body := block[:int64(len(block))-4-n]
	if !badgerChecksum(block[len(body):len(block)-4], body) {
		return wrong
	}
	count := int64(binary.BigEndian.Uint32(body[len(body)-4:]))
	if count == 0 || count*4 > int64(len(body))-4 {
		return badgerDamage("a block is wrong")
	}
	start := len(body) - 4 - int(count)*4
	b.data, b.offsets, b.i, b.n, b.base = body[:start], body[start:len(body)-4], 0, int(count), nil
	return nil
}

// next reads an entry; there must be one, i < n.
func (b *badgerEntries) next() error {
	wrong := badgerDamage("an entry of a block is wrong")
	from, to := int64(binary.LittleEndian.Uint32(b.offsets[4*b.i:])), int64(len(b.data))
	b.i++
	if b.i < b.n {
		to = int64(binary.LittleEndian.Uint32(b.offsets[4*b.i:]))
	}
	if from > to || to > int64(len(b.data)) || to-from < 4 {
		return wrong
	}
	entry := b.data[from:to]
	overlap, diff := int(binary.LittleEndian.Uint16(entry)), int(binary.LittleEndian.Uint16(entry[2:]))
	entry = entry[4:]
	if overlap > len(b.base) || diff > len(entry) || overlap+diff < 8 {
		return wrong
	}
	key := entry[:diff]
	if b.base == nil {
		b.base = key
	}
	if overlap > 0 {
		b.key = append(append(b.key[:0], b.base[:overlap]...), key...)
		key = b.key
	}
	entry = entry[diff:]
	if len(entry) < 3 {
		return wrong
	}
	_, w := binary.Uvarint(entry[2:])
	if w <= 0 || entry[0]&badgerPointer != 0 {
		return wrong
	}
	n := len(key) - 8
	b.record = badgerRecord{key: key[:n], version: ^binary.BigEndian.Uint64(key[n:]), meta: entry[0], user: entry[1],
		value: entry[2+w:]}
	return nil
}

// badgerCursor reads a run: tables that do not overlap, in order. One file is open at a time.
type badgerCursor struct {
	e      *badgerEngine
	tables []badgerTable // still to be opened

	f      *os.File
	blocks []badgerBlock // of f, still to be read
	buf    []byte        // some of them, from bufAt on
	bufAt  int64
	badgerEntries
}

// next reads the next record; false at the end.
func (c *badgerCursor) next() (bool, error) {
	for c.i >= c.n {
		if len(c.blocks) == 0 {
			c.close()
			if len(c.tables) == 0 {
				return false, nil
			}
			if err := c.openTable(); err != nil {
				return false, err
			}
			continue
		}
		block, err := c.readBlock()
		if err == nil {
			err = c.open(block)
		}
		if err != nil {
			return false, fmt.Errorf("%s: %w", c.f.Name(), err)
		}
	}
	if err := c.badgerEntries.next(); err != nil {
		return false, fmt.Errorf("%s: %w", c.f.Name(), err)
	}
	return true, nil
}

// seek goes to the first record whose key is not less than key. It is called once, before next, with the tables from the one
// on that may have it.
func (c *badgerCursor) seek(key []byte) (bool, error) {
	if len(c.tables) == 0 {
		return false, nil
	}
	if len(key) > 0 {
		if err := c.openTable(); err != nil {
			return false, err
		}
		for len(c.blocks) > 1 && bytes.Compare(c.blocks[1].key[:len(c.blocks[1].key)-8], key) < 0 {
			c.blocks = c.blocks[1:]
		}
	}
	for {
		ok, err := c.next()
		if !ok || err != nil || bytes.Compare(c.record.key, key) >= 0 {
			return ok, err
		}
	}
}

func (c *badgerCursor) openTable() error {
	t := c.tables[0]
	c.tables = c.tables[1:]
	f, err := os.Open(c.e.path(t.id))
	if err != nil {
		return err
	}
	s, err := f.Stat()
	if err == nil && !s.Mode().IsRegular() {
		err = badgerDamage("it is not a file")
	}
	if err == nil {
		c.blocks, err = badgerReadIndex(f, s.Size())
	}
	if err != nil {
		f.Close()
		return fmt.Errorf("%s: %w", f.Name(), err)
	}
	c.f, c.buf = f, c.buf[:0]
	return nil
}

// readBlock gives the bytes of the next block, and reads those behind it along.
func (c *badgerCursor) readBlock() ([]byte, error) {
	b := c.blocks[0]
	if b.offset < c.bufAt || b.offset+b.size > c.bufAt+int64(len(c.buf)) {
		var n int64
		for _, b := range c.blocks {
			if n > 0 && n+b.size > badgerReadSize {
				break
			}
			n += b.size
		}
		if int64(cap(c.buf)) < n {
			c.buf = make([]byte, max(n, badgerReadSize))
		}
		c.buf, c.bufAt = c.buf[:n], b.offset
		if _, err := c.f.ReadAt(c.buf, b.offset); err != nil {
			c.buf = c.buf[:0]
			return nil, err
		}
	}
	c.blocks = c.blocks[1:]
	return c.buf[b.offset-c.bufAt:][:b.size], nil
}

func (c *badgerCursor) close() {
	if c.f != nil {
		c.f.Close()
		c.f = nil
	}
	c.blocks, c.i, c.n = nil, 0, 0
}

// check reads all of a table, and notes what is in it.
func (e *badgerEngine) check(t *badgerTable) error {
	s, err := os.Stat(e.path(t.id))
	if err != nil {
		return err
	}
	t.size = s.Size()
	c := badgerCursor{e: e, tables: []badgerTable{*t}}
	defer c.close()
	var last []byte
	var version uint64
	for {
		ok, err := c.next()
		if err != nil {
			return err
		}
		if !ok {
			t.last = last
			return nil
		}
		r := &c.record
		if t.records > 0 {
			if o := bytes.Compare(last, r.key); o > 0 || o == 0 && version <= r.version {
				return badgerDamage("its records are out of order")
			}
		}
		t.count(r)
		last, version = append(last[:0], r.key...), r.version
	}
}
