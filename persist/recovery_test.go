package persist

import (
	"encoding/binary"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

var (
	powerSeeds = flag.Int("persist.seeds", 25, "simulated power cuts")
	powerSeed  = flag.Uint64("persist.seed", 0, "the one seed to run; 0: all")
)

// TestPowerCut runs random batches on a disk that fails now and then, ends the process or the power, and opens the store again,
// some rounds long. What must be there is what a model of it says.
func TestPowerCut(t *testing.T) {
	seeds := *powerSeeds
	if testing.Short() {
		seeds = min(seeds, 8)
	}
	for seed := uint64(1); seed <= uint64(seeds); seed++ {
		if *powerSeed != 0 {
			seed = *powerSeed
		}
		bubble(t, fmt.Sprint(seed), func(t *testing.T) { powerCut(t, seed) })
		if t.Failed() || *powerSeed != 0 {
			t.Logf("again: go test ./persist -run TestPowerCut -persist.seed=%d", seed)
			return
		}
	}
}

func powerCut(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 5))
	o := Options{Policy: Policy(r.IntN(3)), CheckpointBytes: 4 << 10 << r.IntN(5)}
	m := &model{r: r, all: map[string]*message{}}
	w := newWorld()
	for range 4 {
		h := start(t, w, o)
		m.begin(h)
		w.mu.Lock()
		if r.IntN(3) == 0 {
			faults := rand.New(rand.NewPCG(seed, r.Uint64()))
			w.fault = func(op, name string) error {
				if op != "read" && op != "list" && faults.IntN(40) == 0 {
					return fmt.Errorf("a fault of the test in %s", op)
				}
				return nil
			}
		}
		w.mu.Unlock()
		for range r.IntN(200) {
			m.step(h)
			switch r.IntN(20) {
			case 0:
				time.Sleep(time.Duration(r.IntN(2500)) * time.Millisecond)
			case 1:
				synctest.Wait()
			case 2:
				if h.d.Sync() == nil {
					m.sure = len(m.batches)
				}
			}
			m.note(h, o.Policy)
		}
		killed := r.IntN(2) == 0
		if killed {
			synctest.Wait()
			m.note(h, Strict) // a batch that is done survives a kill under every policy
			w = w.kill()
		} else {
			w = w.cut(r)
		}
		_ = h.d.Close()
		m.check(t, w, o)
		if t.Failed() {
			return
		}
	}
}

// model knows what must be stored. Each batch puts a subscription of session 1 whose filter is the batch's number, which tells
// afterwards whether the batch is there.
type model struct {
	r       *rand.Rand
	batches []*modelBatch
	round   int
	sure    int // the first batches that must be there
	// all is the messages of the live records by their names; retained ones and deliveries of session 1.
	all  map[string]*message
	next uint64
}

type modelBatch struct {
	puts, deletes   map[string]string // name of a record: payload of its body
	bodies, bodies2 []string          // payloads whose body it puts, whose body it deletes
	done            atomic.Bool
	at              time.Time
}

func (m *model) begin(h *harness) {
	// What is in the store now is where the model goes on from, with the messages of this process.
	m.all = map[string]*message{}
	for name, x := range h.st.bodies {
		m.all[name] = x
	}
	b := &modelBatch{puts: h.st.texts(), deletes: map[string]string{}}
	b.done.Store(true)
	for _, x := range h.st.bodies {
		b.bodies = append(b.bodies, string(x.body.Payload))
	}
	m.batches, m.sure = []*modelBatch{b}, 1
	m.round++
}

func (m *model) filter(batch int) string { return fmt.Sprint(m.round, "/", batch) }

// step commits one batch.
func (m *model) step(h *harness) {
	number := len(m.batches)
	b := &modelBatch{puts: map[string]string{}, deletes: map[string]string{}, at: time.Now()}
	ops := []Op{
		sessionOp(1, "c"),
		{Kind: PutSubscription, Session: 1, Extra: &Extra{Subscription: &Subscription{Filter: m.filter(number)}}},
	}
	for range m.r.IntN(4) {
		switch names := slices.Sorted(maps.Keys(m.all)); {
		case len(names) > 0 && m.r.IntN(2) == 0:
			ops = append(ops, m.drop(b, names[m.r.IntN(len(names))]))
		default:
			ops = append(ops, m.add(b)...)
		}
	}
	m.batches = append(m.batches, b)
	h.d.Commit(&Batch{Ops: ops, Done: func() { b.done.Store(true) }})
}

func (m *model) drop(b *modelBatch, name string) Op {
	x := m.all[name]
	delete(m.all, name)
	text := string(x.body.Payload)
	delete(b.puts, name)
	b.deletes[name] = text
	if m.refs(x) == 0 {
		b.bodies2 = append(b.bodies2, text)
		b.bodies = slices.DeleteFunc(b.bodies, func(s string) bool { return s == text })
	}
	if strings.HasPrefix(name, "r ") {
		return Op{Kind: DeleteRetained, Ref: -1, Message: x.hold()}
	}
	var session, seq uint64
	fmt.Sscanf(name, "d %d %d", &session, &seq)
	return ackedOp(session, seq, x)
}

func (m *model) refs(x *message) (n int) {
	for _, held := range m.all {
		if held == x {
			n++
		}
	}
	return n
}

// add puts a message into one or two places.
func (m *model) add(b *modelBatch) []Op {
	m.next++
	text := fmt.Sprint("body ", m.next, strings.Repeat("x", m.r.IntN(3000)))
	if m.r.IntN(30) == 0 {
		text += strings.Repeat("y", firstBytes+m.r.IntN(2*chunkBytes))
	}
	x := newMessage(fmt.Sprint("t", m.next), text)
	b.bodies = append(b.bodies, text)
	name := fmt.Sprint("d 1 ", m.next)
	m.all[name] = x
	b.puts[name] = text
	ops := []Op{deliveryOp(1, m.next, x)}
	if m.r.IntN(2) == 0 {
		name = "r " + x.body.Topic
		m.all[name] = x
		b.puts[name] = text
		ops = append(ops, retainedOp(x))
	}
	return ops
}

// note moves sure forward to what the policy promises now.
func (m *model) note(h *harness, policy Policy) {
	h.w.mu.Lock()
	faulty := h.w.fault != nil
	h.w.mu.Unlock()
	for i := m.sure; i < len(m.batches) && m.batches[i].done.Load(); i++ {
		old := time.Since(m.batches[i].at) > time.Second+time.Millisecond && !faulty
		if policy != Strict && !old {
			break
		}
		m.sure = i + 1
	}
}

// check opens the store and compares. Batches that are not sure are there as a whole or not at all.
func (m *model) check(t *testing.T, w *world, o Options) {
	t.Helper()
	h := start(t, w.kill(), o)
	w.off = false
	want := map[string]string{}
	bodies := map[string]bool{}
	for i, b := range m.batches {
		there := i == 0
		if _, ok := h.st.subscriptions["1 "+m.filter(i)]; ok {
			there = true
		}
		if i < m.sure && !there {
			t.Errorf("batch %d of %d is not there, %d are sure", i, len(m.batches), m.sure)
		}
		if !there {
			continue
		}
		for name := range b.deletes {
			delete(want, name)
		}
		maps.Copy(want, b.puts)
		for _, text := range b.bodies {
			bodies[text] = true
		}
		for _, text := range b.bodies2 {
			delete(bodies, text)
		}
	}
	maps.DeleteFunc(want, func(_, text string) bool { return !bodies[text] })
	if got := h.st.texts(); !maps.Equal(got, want) {
		t.Errorf("restored %d records, want %d", len(got), len(want))
		for name := range want {
			if _, ok := got[name]; !ok {
				t.Errorf("missing: %s", name)
			}
		}
		for name := range got {
			if _, ok := want[name]; !ok {
				t.Errorf("too many: %s", name)
			}
		}
	}
	_ = h.d.Close()
}

// Damage.

// journalOf is the name and the content of the only segment with records.
func journalOf(t *testing.T, w *world) (string, *inode) {
	t.Helper()
	for name, i := range w.names {
		if _, ok := segmentNumber(name); ok && len(i.data) > headBytes {
			return name, i
		}
	}
	t.Fatal("there is no journal")
	return "", nil
}

func TestDamagedJournal(t *testing.T) {
	// at is where the record of message i begins.
	f := func(name string, damage func(w *world, i *inode, at []int), want string, said string, aside uint64) {
		bubble(t, name, func(t *testing.T) {
			h := start(t, newWorld(), Options{})
			var at []int
			for n := range 5 {
				at = append(at, headBytes+int(h.d.Stats().BytesWritten))
				h.commit(retainedOp(newMessage(fmt.Sprint(n), "x")))
			}
			w := h.w.kill()
			_, i := journalOf(t, w)
			damage(w, i, at)
			h = h.after(w, Options{})
			got := ""
			for _, name := range keysOf(h.st.bodies) {
				got += strings.TrimPrefix(name, "r ")
			}
			same(t, "messages", got, want)
			log := strings.Join(h.log, "\n")
			if !strings.Contains(log, said) || said == "" && log != "" {
				t.Errorf("said %q, want %q", log, said)
			}
			if s := h.d.Stats(); s.SetAside != aside {
				t.Errorf("%d were set aside, want %d", s.SetAside, aside)
			}
			h.commit(retainedOp(newMessage("new", "x")))
			h = h.kill(Options{})
			same(t, "messages at the next start", len(h.st.bodies), len(want)+1)
			if len(h.log) > 0 {
				t.Errorf("the next start said %q", h.log)
			}
		})
	}
	f("sound", func(*world, *inode, []int) {}, "01234", "", 0)
	f("torn in a record", func(_ *world, i *inode, at []int) { i.data = i.data[:at[4]+20] }, "0123", "20 bytes are cut off", 0)
	f("torn at a record", func(_ *world, i *inode, at []int) { i.data = i.data[:at[4]] }, "0123", "", 0)
	f("torn by zeros", func(_ *world, i *inode, at []int) { clear(i.data[at[3]+30:]) }, "012", "cut off", 0)
	f("flipped bit", func(_ *world, i *inode, at []int) { i.data[at[2]+30] ^= 1 }, "0134", "is damaged. It is kept as damaged-", 1)
	f("flipped length", func(_ *world, i *inode, at []int) { i.data[at[2]+6] ^= 0x80 }, "0134", "is damaged", 1)
	f("zeros in the middle", func(_ *world, i *inode, at []int) { clear(i.data[at[1]:at[3]]) }, "034", "is damaged", 1)
	f("damaged head", func(_ *world, i *inode, at []int) { i.data[3] ^= 1 }, "01234", "is damaged", 1)
	f("zeroed", func(_ *world, i *inode, at []int) { clear(i.data) }, "", "nothing but zeros", 1)
	f("nonsense", func(_ *world, i *inode, at []int) {
		r := rand.New(rand.NewPCG(1, 1))
		for k := range i.data {
			i.data[k] = byte(r.Uint32())
		}
	}, "", "its 0 sound records are used", 1)
	f("missing", func(w *world, i *inode, at []int) {
		name, _ := journalOf(t, w)
		delete(w.names, name)
	}, "", "", 0)
	f("cannot be read", func(w *world, i *inode, at []int) {
		name, _ := journalOf(t, w)
		n := 0
		w.fault = func(op, of string) error {
			if op == "read" && of == name && n == 0 {
				n++
				return fmt.Errorf("input/output error")
			}
			return nil
		}
	}, "", "cannot be read as a whole", 1)
}

func TestDamageOnADiskThatCannotBeWritten(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		h := start(t, newWorld(), Options{})
		h.commit(retainedOp(newMessage("0", "x")))
		at := headBytes + int(h.d.Stats().BytesWritten)
		h.commit(retainedOp(newMessage("1", "x")))
		h.commit(retainedOp(newMessage("2", "x")))
		w := h.w.kill()
		_, i := journalOf(t, w)
		i.data[at+25] ^= 1
		w.fault = func(op, name string) error {
			switch op {
			case "read", "list":
				return nil
			}
			return fmt.Errorf("read-only file system")
		}
		h = h.after(w, Options{})
		same(t, "messages", keysOf(h.st.bodies), []string{"r 0", "r 2"})
	})
}

func TestPayloadIsNeverARecord(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		h := start(t, newWorld(), Options{})
		forged := newEncoder(identity{}) // the identity is what a client cannot know
		forged.number = 1000
		forged.batch([]Op{retainedOp(newMessage("forged", "x"))})
		at := headBytes + int(h.d.Stats().BytesWritten)
		h.commit(retainedOp(newMessage("a", "some"+string(forged.buf))))
		h.commit(retainedOp(newMessage("b", "x")))
		w := h.w.kill()
		_, i := journalOf(t, w)
		i.data[at+20] ^= 1
		same(t, "messages", keysOf(h.after(w, Options{}).st.bodies), []string{"r b"})
	})
}

func TestNewerFormatIsRefused(t *testing.T) {
	bubble(t, "engine", func(t *testing.T) {
		h := start(t, newWorld(), Options{})
		w := h.w.kill()
		w.engine["v"] = "\x00\x00\x00\x02" + w.engine["v"][4:]
		if _, err := openDisk(h.d.own.o, w, simEngine{w}, nil); err == nil || !strings.Contains(err.Error(), "newer version") {
			t.Errorf("open: %v, want that it is newer", err)
		}
	})
	bubble(t, "journal", func(t *testing.T) {
		h := start(t, newWorld(), Options{})
		h.commit(retainedOp(newMessage("a", "x")))
		w := h.w.kill()
		name, i := journalOf(t, w)
		number, _ := segmentNumber(name)
		head := appendHead(nil, number, h.d.keeper.id)[:36]
		binary.BigEndian.PutUint32(head[8:], formatVersion+1)
		copy(i.data, checked(head))
		if _, err := openDisk(h.d.own.o, w, simEngine{w}, nil); err == nil || !strings.Contains(err.Error(), "newer version") {
			t.Errorf("open: %v, want that it is newer", err)
		}
	})
}

func TestManyRestartsLeaveLittle(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		h := start(t, newWorld(), Options{CheckpointBytes: 64 << 10})
		for i := range 50 {
			h.commit(retainedOp(newMessage(fmt.Sprint(i), strings.Repeat("x", 5000))))
			time.Sleep(2 * time.Second)
			h = h.kill(h.d.own.o)
		}
		synctest.Wait()
		same(t, "retained", len(h.st.bodies), 50)
		if files := len(h.w.names); files > 20 {
			t.Errorf("%d files after fifty restarts", files)
		}
	})
}

// TestRestartsWithLittleToStore kills the broker again and again before there is enough for a checkpoint.
func TestRestartsWithLittleToStore(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		h := start(t, newWorld(), Options{CheckpointBytes: 64 << 10})
		for i := range 3 * segmentsMax {
			h.commit(retainedOp(newMessage(fmt.Sprint(i), "x")))
			h = h.kill(h.d.own.o)
			synctest.Wait()
			if files, bytes := len(h.w.names), h.w.used(); files > segmentsMax+5 || bytes > 5*allocateBytes/2 {
				t.Fatalf("%d files of %d bytes after %d restarts", files, bytes, i+1)
			}
		}
		same(t, "retained", len(h.st.bodies), 3*segmentsMax)
	})
}

func TestMissingFirstSegmentIsSaid(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		h := start(t, newWorld(), Options{})
		h.commit(retainedOp(newMessage("a", "x")))
		first, _ := journalOf(t, h.w)
		h = h.kill(Options{})
		h.commit(retainedOp(newMessage("b", "x")))
		w := h.w.kill()
		delete(w.names, first)
		h = h.after(w, Options{})
		same(t, "retained", keysOf(h.st.bodies), []string{"r b"})
		if len(h.log) != 1 || !strings.Contains(h.log[0], "1 records of the journal are missing") {
			t.Errorf("said %q", h.log)
		}
	})
}

func TestMissingLastSegmentIsSaid(t *testing.T) {
	f := func(name string, damage func(w *world, last string), log int) {
		t.Helper()
		bubble(t, name, func(t *testing.T) {
			h := start(t, newWorld(), Options{})
			h.commit(retainedOp(newMessage("a", "x")))
			time.Sleep(time.Minute)
			h = h.kill(Options{})
			h.commit(retainedOp(newMessage("b", "x")))
			time.Sleep(time.Minute)
			synctest.Wait()
			w := h.w.kill()
			last := ""
			for _, name := range slices.Sorted(maps.Keys(w.names)) {
				if _, ok := segmentNumber(name); ok {
					last = name
				}
			}
			damage(w, last)
			h = h.after(w, Options{})
			if len(h.log) != log || log > 0 && !strings.Contains(h.log[0], last+" is missing or empty") {
				t.Errorf("said %q", h.log)
			}
			same(t, "retained", len(h.st.bodies), 2-log)
			h.commit(retainedOp(newMessage("c", "x")))
			time.Sleep(time.Minute)
			h = h.kill(Options{})
			same(t, "retained", len(h.st.bodies), 3-log)
			if len(h.log) > 0 {
				t.Errorf("the next start said %q", h.log)
			}
		})
	}
	f("there", func(*world, string) {}, 0)
	f("missing", func(w *world, last string) { delete(w.names, last) }, 1)
	f("empty", func(w *world, last string) { w.names[last].data = nil }, 1)
	f("tail missing", func(w *world, _ string) { delete(w.names, tailName) }, 0)
	f("tail damaged", func(w *world, _ string) { w.names[tailName].data[9] ^= 1 }, 0)
}

// slow is an engine whose changes wait until they are let through.
type slow struct {
	simEngine
	pass chan struct{}
}

func (s slow) apply(changes []change) error {
	<-s.pass
	return s.simEngine.apply(changes)
}

// TestSyncFailsDuringACheckpoint lets a sync fail that takes an empty segment out of the journal while a checkpoint has it in hand: the
// segments behind it must stay.
func TestSyncFailsDuringACheckpoint(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		w := newWorld()
		e := slow{simEngine{w}, make(chan struct{}, 100)}
		e.pass <- struct{}{} // the first note in the engine
		o := Options{CheckpointBytes: 8 << 10}
		o.defaults()
		d, err := openDisk(o, w, e, nil)
		if err != nil {
			t.Fatal(err)
		}
		h := &harness{t: t, w: w, d: d, st: restored(t, d)}
		fault := func(f func(op, name string) error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.fault = f
		}
		writes := 0
		fault(func(op, name string) error {
			if op == "write" {
				writes++
			}
			if op == "truncate" || op == "write" && writes == 2 { // the first segment gets its head only
				return syscall.EIO
			}
			return nil
		})
		h.commit(retainedOp(newMessage("a", strings.Repeat("x", 100))))
		time.Sleep(3 * time.Second)
		fault(nil)
		h.commit(retainedOp(newMessage("b", strings.Repeat("x", 9<<10))))
		time.Sleep(3 * time.Second) // a checkpoint waits for the engine
		h.commit(retainedOp(newMessage("c", "x")))
		time.Sleep(3 * time.Second)
		fault(failing("sync", 1, syscall.EIO))
		h.commit(retainedOp(newMessage("d", "x")))
		time.Sleep(3 * time.Second)
		close(e.pass)
		for i := range 20 {
			h.commit(retainedOp(newMessage(fmt.Sprint(i), strings.Repeat("x", 2000))))
			time.Sleep(3 * time.Second)
		}
		_ = d.Close()
		st := start(t, w.kill(), Options{}).st
		for _, name := range "abcd" {
			if st.bodies["r "+string(name)] == nil {
				t.Errorf("%c is lost", name)
			}
		}
	})
}

// deaf is an engine some of whose records cannot be read.
type deaf struct {
	simEngine
	prefix byte
}

func (d deaf) each(prefix []byte, visit func(key, value []byte) error) error {
	if prefix[0] == d.prefix {
		return fmt.Errorf("input/output error")
	}
	return d.simEngine.each(prefix, visit)
}

func TestEngineThatCannotBeReadIsLeftAlone(t *testing.T) {
	for _, prefix := range []byte("vmsdr") {
		bubble(t, string(prefix), func(t *testing.T) {
			h := start(t, newWorld(), Options{CheckpointBytes: 1})
			h.commit(sessionOp(1, "c"), retainedOp(newMessage("a", "x")), deliveryOp(1, 1, newMessage("d", "y")))
			time.Sleep(10 * time.Second)
			w := h.w.kill()
			var troubles []error
			d, err := openDisk(Options{Log: func(string) {}, OnTrouble: func(err error) { troubles = append(troubles, err) }}, w, deaf{simEngine{w}, prefix}, nil)
			if err != nil {
				t.Fatal(err)
			}
			restored(t, d)
			done := false
			d.Commit(&Batch{Ops: []Op{retainedOp(newMessage("late", "x"))}, Done: func() { done = true }})
			time.Sleep(time.Hour)
			synctest.Wait()
			if len(troubles) != 1 || done {
				t.Errorf("troubles %v, done %v, want one trouble and nothing done", troubles, done)
			}
			if err := d.Close(); err == nil {
				t.Error("Close does not say that something could not be stored")
			}
			same(t, "later", start(t, w.kill(), Options{}).st.texts(), map[string]string{"d 1 1": "y", "r a": "x"})
		})
	}
}
