package sim

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/router"
)

// publication is one application message that a client publishes or leaves as its will.
type publication struct {
	number  int
	from    string // the publisher's client identifier
	topic   string
	payload []byte
	qos     uint8
	retain  bool
	seq     int // counts the publisher's messages of this QoS
	sends   int // how often the publisher sent it

	sentAt  int // step of the first sending; 0: not yet
	ackedAt int // step of PUBACK or PUBCOMP
	doneAt  int // step from which nothing of it is on its way inside the broker; 0: not yet

	isWill bool
	will   willState
}

// willState is what a model expects of a will.
//
//	willArmed  its connection lives, or its delay runs: it must not come
//	willMay    what happened allows both
//	willMust   it must come
//	willWaits  it must come when its delay has passed
//	willNever  it must not come any more
type willState uint8

const (
	willArmed willState = iota
	willMay
	willMust
	willWaits
	willNever
)

func (p *publication) String() string {
	return fmt.Sprintf("m%d(%s %s q%d #%d)", p.number, p.from, p.topic, p.qos, p.seq)
}

// newPublication makes one with a payload from which it can be known again, and whose every byte is known.
func (d *driver) newPublication(from, topic string, qos uint8, size int) *publication {
	p := &publication{number: len(d.published), from: from, topic: topic, qos: qos}
	p.payload = []byte("m" + strconv.Itoa(p.number) + ";")
	for i := range size {
		p.payload = append(p.payload, byte('a'+(p.number+i)%26))
	}
	d.published = append(d.published, p)
	return p
}

// numberOf finds the publication that a payload belongs to.
func (d *driver) numberOf(b []byte) int {
	end := bytes.IndexByte(b, ';')
	if end < 2 || b[0] != 'm' {
		d.fail("a payload that nobody published: %.40q", b)
	}
	n, err := strconv.Atoi(string(b[1:end]))
	if err != nil || n >= len(d.published) {
		d.fail("a payload that nobody published: %.40q", b)
	}
	if !bytes.Equal(d.published[n].payload, b) {
		d.fail("the payload of m%d is damaged: %.60q of %d bytes", n, b, len(b))
	}
	return n
}

// stream is what order is promised for.
type stream struct {
	from       string
	qos, asQoS uint8
	shared     bool
}

// sub is one SUBSCRIBE's version of a subscription: from when it may be in force, and from when it surely is, to when
// something ended or replaced it.
type sub struct {
	filter  string // without $share
	group   string // "" when not shared
	written string
	qos     uint8
	noLocal bool
	asPub   bool
	rh      uint8
	id      uint32
	conn    *conn
	sentAt  int
	ackedAt int // 0: not known to be in force
	// endSentAt is when the client began to end or replace it, endedAt when it surely was.
	endSentAt, endedAt int
	replaces           *sub
	fresh              bool // it surely did not exist before
	replayChecked      bool
}

// newSub is the version of a subscription that is sent at a step.
func newSub(f *codec.Subscription, id uint32, sentAt int) *sub {
	v := &sub{written: f.Filter, filter: f.Filter, qos: f.QoS, noLocal: f.NoLocal, asPub: f.RetainAsPublished,
		rh: f.RetainHandling, id: id, sentAt: sentAt}
	if share, shared, _ := router.ParseShare(f.Filter); shared {
		v.filter, v.group = share.Filter, share.Group
	}
	return v
}

// surely reports whether v was in force during all of [from, to].
func (v *sub) surely(from, to int) bool {
	return v.ackedAt != 0 && v.ackedAt < from && (v.endSentAt == 0 || v.endSentAt > to)
}

// possibly reports whether v may have been in force at some time in [from, to]; to is 0 for "still".
func (v *sub) possibly(from, to int) bool {
	return (to == 0 || v.sentAt <= to) && (v.endedAt == 0 || v.endedAt >= from)
}

// end notes that v and every version before it surely ended by step at.
func (v *sub) end(at int) {
	for ; v != nil; v = v.replaces {
		if v.endedAt == 0 {
			v.endedAt = at
		}
	}
}

func (v *sub) matches(topic string) bool { return router.MatchOne(v.filter, topic) }
