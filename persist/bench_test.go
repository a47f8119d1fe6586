package persist

import (
	"flag"
	"fmt"
	"runtime"
	"testing"
	"time"
)

// BenchmarkEncode is the cost of one message that is stored and acknowledged: its body, its delivery, and their deletes.
func BenchmarkEncode(b *testing.B) {
	e := newEncoder(identity{})
	m := &message{body: Body{Topic: "some/topic/of/a/device", Payload: make([]byte, 128), QoS: 1}, refs: 1 << 30}
	ops := []Op{
		{Kind: PutDelivery, Ref: 1, Session: 7, Seq: 1000, QoS: 1, Message: m},
		{Kind: DeleteDelivery, Ref: -1, Session: 7, Seq: 1000, Message: m},
	}
	var batch []Op
	for range 500 {
		batch = append(batch, ops...)
	}
	b.ReportAllocs()
	for b.Loop() {
		m.mark = Mark{}
		m.refs = 1 << 30
		e.buf = e.buf[:0]
		e.batch(batch)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(batch)), "ns/op-of-a-batch")
}

// BenchmarkCommit is the whole way to Done on a real disk, with one shard that has one batch of a size under way.
func BenchmarkCommit(b *testing.B) {
	for _, policy := range []struct {
		name string
		p    Policy
	}{{"balanced", Balanced}, {"strict", Strict}} {
		for _, size := range []int{1, 50, 1000} {
			b.Run(fmt.Sprintf("%s/ops=%d", policy.name, size), func(b *testing.B) {
				s, err := Open(Options{Dir: b.TempDir(), Policy: policy.p})
				if err != nil {
					b.Fatal(err)
				}
				restored(b, s)
				m := &message{body: Body{Topic: "some/topic/of/a/device", Payload: make([]byte, 128), QoS: 1}, refs: 1 << 30}
				done := make(chan struct{}, 1)
				batch := &Batch{Done: func() { done <- struct{}{} }}
				seq := uint64(0)
				b.ReportAllocs()
				for b.Loop() {
					batch.Ops = batch.Ops[:0]
					for len(batch.Ops) < size {
						seq++
						batch.Ops = append(batch.Ops,
							Op{Kind: PutDelivery, Ref: 1, Session: 7, Seq: seq, QoS: 1, Message: m},
							Op{Kind: DeleteDelivery, Ref: -1, Session: 7, Seq: seq, Message: m})
					}
					s.Commit(batch)
					<-done
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(size), "ns/op-of-a-batch")
				_ = s.Close()
			})
		}
	}
}

var scale = flag.Int("persist.scale", 100, "retained messages of TestRestoreScale, and deliveries in sessions of a hundred")

// counting restores and throws away.
type counting struct{ n int }

func (c *counting) Message(b *Body) Message                      { c.n++; return &message{refs: 1 << 30} }
func (c *counting) Session(*Session)                             {}
func (c *counting) Subscription(uint64, *Subscription)           {}
func (c *counting) Delivery(uint64, *Delivery, Message)          {}
func (c *counting) Inbound(session uint64, id uint16, m Message) {}
func (c *counting) Retained(Message)                             {}

// TestRestoreScale says how long a start takes: run it with -persist.scale=1000000 -v.
func TestRestoreScale(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	restored(t, s)
	began := time.Now()
	for i := range *scale {
		var ops []Op
		session := uint64(i/100 + 1)
		if i%100 == 0 {
			ops = append(ops, sessionOp(session, fmt.Sprint("client", session)))
		}
		ops = append(ops,
			retainedOp(&message{body: Body{Topic: fmt.Sprint("house/", i%1000, "/", i), Payload: make([]byte, 64), QoS: 1, Retain: true}}),
			deliveryOp(session, uint64(i), &message{body: Body{Topic: fmt.Sprint("queue/", i%100), Payload: make([]byte, 64), QoS: 1}}))
		done := make(chan struct{})
		batch := &Batch{Ops: ops}
		if i%1000 == 0 {
			batch.Done = func() { close(done) }
		}
		s.Commit(batch)
		if i%1000 == 0 {
			<-done
		}
	}
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d retained and %d queued messages stored in %v, %+v", *scale, *scale, time.Since(began), s.Stats())
	began = time.Now()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("closed in %v", time.Since(began))
	began = time.Now()
	if s, err = Open(o); err != nil {
		t.Fatal(err)
	}
	t.Logf("opened in %v", time.Since(began))
	c := &counting{}
	if err := s.Restore(c); err != nil {
		t.Fatal(err)
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	t.Logf("restored after %v, %d MiB from the system, %+v", time.Since(began), mem.Sys>>20, s.Stats())
	if c.n != 2**scale {
		t.Errorf("%d messages were restored, want %d", c.n, 2**scale)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
