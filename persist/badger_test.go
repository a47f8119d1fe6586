package persist

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/dgraph-io/badger/v4"
)

func testBadger(t testing.TB, dir string, o badgerOptions) *badgerEngine {
	t.Helper()
	e, notes, err := openBadger(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(notes) > 0 {
		t.Fatalf("a sound directory: %q", notes)
	}
	t.Cleanup(func() { e.close() })
	return e.(*badgerEngine)
}

func testApply(t testing.TB, e engine, changes ...change) {
	t.Helper()
	if err := e.apply(changes); err != nil {
		t.Fatal(err)
	}
}

func putRecord(key, value string) change { return change{[]byte(key), []byte(value)} }
func deleteRecord(key string) change     { return change{[]byte(key), nil} }

// testContent is all records whose key has the prefix; it checks their order.
func testContent(t testing.TB, e engine, prefix string) map[string]string {
	t.Helper()
	m := map[string]string{}
	last := ""
	err := e.each([]byte(prefix), func(key, value []byte) error {
		if len(m) > 0 && string(key) <= last && len(key) <= badgerLongKey {
			t.Errorf("%.80q comes after %.80q", key, last)
		}
		last = string(key)
		m[last] = string(value)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func wantContent(t testing.TB, e engine, prefix string, want map[string]string) {
	t.Helper()
	got := testContent(t, e, prefix)
	if maps.Equal(got, want) {
		return
	}
	for k, v := range want {
		if g, ok := got[k]; !ok || g != v {
			t.Errorf("%.60q: %.60q (there: %v), want %.60q", k, g, ok, v)
		}
	}
	for k := range got {
		if _, ok := want[k]; !ok {
			t.Errorf("%.60q should not be there", k)
		}
	}
	t.FailNow()
}

func TestBadgerKeepsWhatWasApplied(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "engine")
	e := testBadger(t, dir, badgerOptions{})
	wantContent(t, e, "", map[string]string{})
	testApply(t, e, putRecord("b", "1"), putRecord("a", "2"), putRecord("c", ""))
	testApply(t, e, putRecord("b", "3"), deleteRecord("a"), deleteRecord("never"))
	want := map[string]string{"b": "3", "c": ""}
	wantContent(t, e, "", want)
	wantContent(t, e, "b", map[string]string{"b": "3"})
	wantContent(t, e, "a", map[string]string{})
	wantContent(t, e, "d", map[string]string{})
	if err := e.close(); err != nil {
		t.Fatal(err)
	}
	e = testBadger(t, dir, badgerOptions{})
	wantContent(t, e, "", want)
	testApply(t, e, deleteRecord("b"), putRecord("c", "4"))
	wantContent(t, testBadger(t, dir, badgerOptions{}), "", map[string]string{"c": "4"})
}

// The engine beside a map: batches, tidying that is interrupted, restarts.
func TestBadgerIsAMap(t *testing.T) {
	rounds := 120
	if testing.Short() {
		rounds = 15
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	dir := t.TempDir()
	o := badgerOptions{tableBytes: 100_000, slack: 150_000}
	e := testBadger(t, dir, o)
	want := map[string]string{}
	rewrites := 0
	for round := range rounds {
		changes := map[string]change{}
		for range rnd.IntN(1000) {
			key := fmt.Sprintf("%c%05d", "dmr"[rnd.IntN(3)], rnd.IntN(3000))
			if rnd.IntN(100) == 0 {
				key = strings.Repeat("long", 20_000) + key
			}
			if rnd.IntN(2) == 0 {
				changes[key] = deleteRecord(key)
				delete(want, key)
			} else {
				value := strings.Repeat("x", rnd.IntN(200)) + fmt.Sprint(round)
				changes[key] = putRecord(key, value)
				want[key] = value
			}
		}
		testApply(t, e, slices.Collect(maps.Values(changes))...)
		stop := make(chan struct{})
		if rnd.IntN(2) == 0 {
			close(stop) // it does 256 records
		}
		was := e.rewrite != nil
		if err := e.tidy(stop, false); err != nil {
			t.Fatal(err)
		}
		if was && e.rewrite == nil {
			rewrites++
		}
		switch rnd.IntN(20) {
		case 0:
			e.close()
			e = testBadger(t, dir, o)
		case 1:
			e = testBadger(t, dir, o) // as after a kill
		}
		if round%10 == 0 {
			wantContent(t, e, "", want)
		}
	}
	wantContent(t, e, "", want)
	if rewrites == 0 {
		t.Error("no rewrite was interrupted and went on")
	}
	e.close()
	if files, _ := badgerTableFiles(dir); len(files) != len(e.tables) {
		t.Errorf("%d table files, %d tables", len(files), len(e.tables))
	}
}

func TestBadgerTakesTheLongestTopic(t *testing.T) {
	dir := t.TempDir()
	e := testBadger(t, dir, badgerOptions{})
	topic := strings.Repeat("t", 65_534)
	value := strings.Repeat("v", 256<<10)
	testApply(t, e, putRecord("r"+topic+"1", value), putRecord("r"+topic+"2", "2"), putRecord("r"+topic[:59_999], "3"),
		putRecord("s", "4"))
	testApply(t, e, deleteRecord("r"+topic+"2"))
	want := map[string]string{"r" + topic + "1": value, "r" + topic[:59_999]: "3"}
	wantContent(t, testBadger(t, dir, badgerOptions{}), "r", want)
	wantContent(t, e, "r"+topic, map[string]string{"r" + topic + "1": value})
}

// Values of every size: the builder's buffer is never full.
func TestBadgerValuesOfEverySize(t *testing.T) {
	e := testBadger(t, t.TempDir(), badgerOptions{tableBytes: 300_000})
	for _, size := range []int{0, 1, 60, 500, 1100, 2030, 2100, 3900, 4020, 4060, 4096, 4400, 8700, 10_000, 70_000, 262_144, 700_000} {
		want := map[string]string{}
		var changes []change
		for i := range 2_000_000/(size+500) + 2 {
			c := putRecord(fmt.Sprintf("%06d-%05d", size, i), strings.Repeat(string(rune('a'+i%26)), size))
			changes = append(changes, c)
			want[string(c.key)] = string(c.value)
		}
		testApply(t, e, changes...)
		wantContent(t, e, fmt.Sprintf("%06d-", size), want)
	}
}

func TestBadgerItselfReadsAndWritesTheDirectory(t *testing.T) {
	dir := t.TempDir()
	e := testBadger(t, dir, badgerOptions{tableBytes: 10_000, slack: 1})
	want := map[string]string{}
	for round := range 4 {
		var changes []change
		for i := range 500 {
			key, value := fmt.Sprintf("k%04d", i*(round+1)), fmt.Sprint(round, strings.Repeat("y", 50))
			changes = append(changes, putRecord(key, value))
			want[key] = value
		}
		testApply(t, e, append(changes, deleteRecord("k0001x"))...)
		if round == 1 {
			if err := e.tidy(nil, false); err != nil {
				t.Fatal(err)
			}
			if e.tables[0].level != badgerLast {
				t.Fatal("nothing was merged")
			}
		}
	}
	e.close()

	o := badger.DefaultOptions(dir).WithLogger(nil).WithMemTableSize(4 << 20).WithValueThreshold(400_000).WithCompression(0).
		WithBlockCacheSize(0).WithValueLogFileSize(1 << 20)
	db, err := badger.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	err = db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.DefaultIteratorOptions)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			if err := it.Item().Value(func(v []byte) error { got[string(it.Item().Key())] = string(v); return nil }); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(got, want) {
		t.Errorf("Badger reads %d records, want %d", len(got), len(want))
	}
	err = db.Update(func(txn *badger.Txn) error {
		return errors.Join(txn.Set([]byte("k0000"), []byte("of Badger")), txn.Delete([]byte("k0003")))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	want["k0000"] = "of Badger"
	delete(want, "k0003")
	wantContent(t, testBadger(t, dir, badgerOptions{}), "", want)
}

// testDamaged makes a directory of 3 batches with 1000 records each, m0000 to m2999, of several tables each.
func testDamaged(t testing.TB) (dir string, want map[string]string) {
	dir = filepath.Join(t.TempDir(), "engine")
	e := testBadger(t, dir, badgerOptions{tableBytes: 30_000})
	want = map[string]string{}
	for batch := range 3 {
		var changes []change
		for i := range 1000 {
			key, value := fmt.Sprintf("m%04d", batch*1000+i), strings.Repeat(fmt.Sprint(i), 30)
			changes = append(changes, putRecord(key, value))
			want[key] = value
		}
		testApply(t, e, changes...)
	}
	return dir, want
}

func TestBadgerSetsDamageAside(t *testing.T) {
	edit := func(path string, change func([]byte) []byte) {
		data, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, change(data), 0o600)
		}
		if err != nil {
			panic(err)
		}
	}
	for _, c := range []struct {
		name   string
		damage func(dir, table string)
		keep   int // at least so many of 3000 records
	}{
		{"flipped byte in a block", func(_, table string) {
			edit(table, func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
		}, 2900},
		{"flipped byte in the index", func(_, table string) {
			edit(table, func(b []byte) []byte { b[len(b)-100] ^= 1; return b })
		}, 3000},
		{"flipped byte in the footer", func(_, table string) {
			edit(table, func(b []byte) []byte { b[len(b)-1] ^= 0x80; return b })
		}, 3000},
		{"cut off", func(_, table string) {
			edit(table, func(b []byte) []byte { return b[:len(b)*3/4] })
		}, 2850},
		{"zeroed", func(_, table string) { edit(table, func(b []byte) []byte { return make([]byte, len(b)) }) }, 2600},
		{"empty", func(_, table string) { edit(table, func(b []byte) []byte { return nil }) }, 2600},
		{"missing", func(_, table string) { os.Remove(table) }, 2600},
		{"a directory", func(_, table string) { os.Remove(table); _ = os.Mkdir(table, 0o700) }, 2600},
		{"manifest missing", func(dir, _ string) { os.Remove(filepath.Join(dir, badgerManifest)) }, 3000},
		{"manifest zeroed", func(dir, _ string) {
			edit(filepath.Join(dir, badgerManifest), func(b []byte) []byte { return make([]byte, len(b)) })
		}, 3000},
		{"manifest cut to its magic", func(dir, _ string) {
			edit(filepath.Join(dir, badgerManifest), func(b []byte) []byte { return b[:8] })
		}, 3000},
		{"manifest flipped, table cut", func(dir, table string) {
			edit(filepath.Join(dir, badgerManifest), func(b []byte) []byte { b[20] ^= 4; return b })
			edit(table, func(b []byte) []byte { return b[:100] })
		}, 2600},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, want := testDamaged(t)
			files, _ := badgerTableFiles(dir)
			c.damage(dir, (&badgerEngine{dir: dir}).path(files[len(files)/2]))
			e, notes, err := openBadger(dir, badgerOptions{})
			if err != nil {
				t.Fatal(err)
			}
			got := testContent(t, e, "")
			for k, v := range got {
				if want[k] != v {
					t.Fatalf("%s is %.40q, want %.40q", k, v, want[k])
				}
			}
			if len(got) < c.keep {
				t.Errorf("%d records, want at least %d", len(got), c.keep)
			}
			asides, _ := filepath.Glob(dir + ".damaged-*")
			if len(asides) != 1 || !strings.Contains(strings.Join(notes, "\n"), asides[0]) {
				t.Errorf("set aside: %q; said: %q", asides, notes)
			}
			testApply(t, e, putRecord("new", "1"))
			got["new"] = "1"
			wantContent(t, testBadger(t, dir, badgerOptions{}), "", got) // sound now
		})
	}
}

func TestBadgerEndsAnInterruptedRepair(t *testing.T) {
	dir, want := testDamaged(t)
	if err := os.Rename(dir, dir+badgerRepairDir); err != nil {
		t.Fatal(err)
	}
	wantContent(t, testBadger(t, dir, badgerOptions{}), "", want)
	if err := os.Mkdir(dir+badgerRepairDir, 0o700); err != nil { // not complete
		t.Fatal(err)
	}
	wantContent(t, testBadger(t, dir, badgerOptions{}), "", want)
	if _, err := os.Stat(dir + badgerRepairDir); err == nil {
		t.Error("what was not complete is still there")
	}
}

func TestBadgerRemovesWhatIsNotNamed(t *testing.T) {
	dir, want := testDamaged(t)
	files, _ := badgerTableFiles(dir)
	e := &badgerEngine{dir: dir}
	if err := badgerCopy(e.path(files[0]), e.path(999)); err != nil {
		t.Fatal(err)
	}
	wantContent(t, testBadger(t, dir, badgerOptions{}), "", want)
	if after, _ := badgerTableFiles(dir); !slices.Equal(after, files) {
		t.Errorf("tables %v, want %v", after, files)
	}
}

func TestBadgerFailedApplyLeavesNothing(t *testing.T) {
	dir, want := testDamaged(t)
	e := testBadger(t, dir, badgerOptions{tableBytes: 10_000})
	changes := []change{putRecord("m0000", "new"), deleteRecord("m0001")}
	for i := range 1000 {
		changes = append(changes, putRecord(fmt.Sprintf("n%05d", i), strings.Repeat("z", 100)))
	}
	before, _ := badgerTableFiles(dir)
	for _, blocker := range []string{
		e.path(e.nextID + 3),                   // the fourth table cannot be made
		filepath.Join(dir, badgerManifestTemp), // the MANIFEST cannot be made
	} {
		if err := os.Mkdir(blocker, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := e.apply(changes); err == nil {
			t.Fatal("apply did not fail")
		}
		os.Remove(blocker)
		if after, _ := badgerTableFiles(dir); !slices.Equal(after, before) {
			t.Errorf("tables %v, want %v", after, before)
		}
		wantContent(t, e, "", want)
	}
	testApply(t, e, changes...)
	want["m0000"] = "new"
	delete(want, "m0001")
	for _, c := range changes[2:] {
		want[string(c.key)] = string(c.value)
	}
	wantContent(t, testBadger(t, dir, badgerOptions{}), "", want)
}

// testSmallDisk is a file system of 4 MiB.
func testSmallDisk(t testing.TB) string {
	dir := filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Skip("needs the right to mount: ", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

func TestBadgerFullDisk(t *testing.T) {
	e := testBadger(t, filepath.Join(testSmallDisk(t), "engine"), badgerOptions{tableBytes: 200_000, slack: 1 << 20})
	want := map[string]string{}
	value := strings.Repeat("v", 100_000)
	full := 0
	for i := 0; full < 3; i++ {
		var changes []change
		for j := range 5 {
			changes = append(changes, putRecord(fmt.Sprintf("m%05d-%d", i, j), value))
		}
		if err := e.apply(changes); err == nil {
			for _, c := range changes {
				want[string(c.key)] = string(c.value)
			}
		} else if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		} else {
			full++
		}
		if err := e.tidy(nil, false); err != nil && !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
	wantContent(t, testBadger(t, e.dir, badgerOptions{}), "", want)
}

func TestBadgerReadOnlyDirectoryIsServed(t *testing.T) {
	disk := testSmallDisk(t)
	dir := filepath.Join(disk, "engine")
	testApply(t, testBadger(t, dir, badgerOptions{}), putRecord("a", "1"))
	if err := syscall.Mount("none", disk, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	e, _, err := openBadger(dir, badgerOptions{})
	if !errors.Is(err, syscall.EROFS) || e == nil {
		t.Fatalf("opened %v, error %v", e != nil, err)
	}
	wantContent(t, e, "", map[string]string{"a": "1"})
	if err := e.apply([]change{putRecord("a", "2")}); !errors.Is(err, syscall.EROFS) {
		t.Errorf("apply: %v", err)
	}
	wantContent(t, e, "", map[string]string{"a": "1"})
	if _, _, err := openBadger(filepath.Join(disk, "other"), badgerOptions{}); !errors.Is(err, syscall.EROFS) {
		t.Errorf("a new directory: %v", err)
	}
}

// What is deleted gives its space back, and never is there much more than twice the live bytes.
func TestBadgerGivesSpaceBack(t *testing.T) {
	total, slack := int64(100<<20), int64(badgerSlack)
	if testing.Short() {
		total, slack = 8<<20, 4<<20
	}
	dir := t.TempDir()
	e := testBadger(t, dir, badgerOptions{slack: slack})
	value := bytes.Repeat([]byte("v"), 10_000)
	check := func(live int64) {
		t.Helper()
		if err := e.tidy(nil, false); err != nil {
			t.Fatal(err)
		}
		var used int64
		entries, _ := os.ReadDir(dir)
		for _, f := range entries {
			if info, err := f.Info(); err == nil {
				used += info.Size()
			}
		}
		if used > 2*live+slack+slack/2 {
			t.Fatalf("%d MiB on disk, %d live", used>>20, live>>20)
		}
	}
	n := 0
	for int64(n*len(value)) < total {
		var changes []change
		for range 400 {
			changes = append(changes, change{fmt.Appendf(nil, "m%08d", n), value})
			n++
		}
		testApply(t, e, changes...)
		check(int64(n * len(value)))
	}
	var gone []change
	for i := range n {
		if i%1000 != 0 {
			gone = append(gone, change{key: fmt.Appendf(nil, "m%08d", i)})
		}
	}
	testApply(t, e, gone...)
	for i := range 5 {
		check(int64(n / 1000 * len(value)))
		testApply(t, e, putRecord("r", fmt.Sprint(i)))
	}
	if got := len(testContent(t, e, "m")); got != (n+999)/1000 {
		t.Errorf("%d records, want %d", got, (n+999)/1000)
	}
	if disk, live := e.size(); disk > 2*live+slack {
		t.Errorf("size says %d of %d", live, disk)
	}
}

func TestBadgerDamageWhileRunningIsAnError(t *testing.T) {
	dir, _ := testDamaged(t)
	e := testBadger(t, dir, badgerOptions{slack: 1})
	files, _ := badgerTableFiles(dir)
	path := e.path(files[3])
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[5000] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := e.each(nil, func(_, _ []byte) error { return nil }); !badgerIsDamage(err) {
		t.Errorf("each: %v", err)
	}
	if err := e.tidy(nil, false); !badgerIsDamage(err) {
		t.Errorf("tidy: %v", err)
	}
	if after, _ := badgerTableFiles(dir); !slices.Equal(after, files) {
		t.Errorf("tables %v, want %v", after, files)
	}
}

// testSum is data with the length and checksum that Badger puts behind a block and an index.
func testSum(data []byte) []byte {
	sum := binary.AppendUvarint([]byte{badgerSumField}, uint64(crc32.Checksum(data, badgerCRC)))
	return binary.BigEndian.AppendUint32(append(slices.Clip(data), sum...), uint32(len(sum)))
}

func FuzzBadgerManifest(f *testing.F) {
	dir, _ := testDamaged(f)
	manifest, err := os.ReadFile(filepath.Join(dir, badgerManifest))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(manifest[len(badgerMagic)+8:])
	f.Fuzz(func(t *testing.T, set []byte) {
		data := binary.BigEndian.AppendUint32([]byte(badgerMagic), uint32(len(set)))
		data = append(binary.BigEndian.AppendUint32(data, crc32.Checksum(set, badgerCRC)), set...)
		for _, data := range [][]byte{set, data} {
			if _, err := badgerParseManifest(data); err != nil && !badgerIsDamage(err) {
				t.Fatal(err)
			}
		}
	})
}

// Any bytes as a table, as blocks and index of one with the right checksum, and as one block.
func FuzzBadgerTable(f *testing.F) {
	e := testBadger(f, f.TempDir(), badgerOptions{})
	testApply(f, e, putRecord("a", "1"), deleteRecord("b"), putRecord("c", strings.Repeat("2", 5000)))
	data, err := os.ReadFile(e.path(e.tables[0].id))
	if err != nil {
		f.Fatal(err)
	}
	blocks, err := badgerReadIndex(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		f.Fatal(err)
	}
	end := blocks[len(blocks)-1].offset + blocks[len(blocks)-1].size
	tail := int(binary.BigEndian.Uint32(data[len(data)-4:])) + 8
	f.Add(data, []byte{})
	f.Add(data[:len(data)-20], []byte{})
	f.Add(data[:end], data[end:len(data)-tail])
	f.Add(data[:blocks[0].size-10], []byte{})
	f.Fuzz(func(t *testing.T, data, index []byte) {
		whole := append(slices.Clip(data), index...)
		size := binary.BigEndian.AppendUint32(nil, uint32(len(index)))
		sum := testSum(index)[len(index):]
		summed := append(append(slices.Clip(whole), size...), sum...)
		for _, data := range [][]byte{whole, summed, testSum(whole)} {
			var last badgerRecord
			_, _, err := badgerSalvage(bytes.NewReader(data), int64(len(data)), func(r *badgerRecord) error {
				if last.key != nil && !badgerBefore(&last, r) {
					t.Fatalf("%q comes after %q", r.key, last.key)
				}
				last = badgerRecord{key: append([]byte{}, r.key...), version: r.version}
				if r.user&badgerIsLong != 0 {
					_, _, _ = r.whole()
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		var b badgerEntries
		if b.open(testSum(data)) == nil {
			for b.i < b.n && b.next() == nil {
			}
		}
	})
}
