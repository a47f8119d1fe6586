package crash

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// register is a value at the broker that one client changes, one change under way at a time: a retained message or a
// subscription. One goroutine at a time uses it.
type register struct {
	changes []change
}

// change is one request to set the value.
type change struct {
	value string
	at    time.Duration // when it was sent
	acked time.Duration // when its acknowledgement came; 0: it has not
}

// newRegister has a value from the start.
func newRegister(value string) *register { return &register{[]change{{value: value, acked: 1}}} }

func (r *register) set(h *history, value string) {
	r.changes = append(r.changes, change{value: value, at: h.now()})
}

func (r *register) ack(h *history) { r.changes[len(r.changes)-1].acked = h.now() }

// allowed is what the value may be now: the last one that was acknowledged beyond doubt, or any that was sent after it.
func (r *register) allowed(h *history) (values []string) {
	for _, c := range slices.Backward(r.changes) {
		values = append(values, c.value)
		if c.acked != 0 && !h.unsure(c.acked) {
			break
		}
	}
	return values
}

// settle takes the value that was seen. A change that is still to be acknowledged stays.
func (r *register) settle(h *history, value string) {
	last := r.changes[len(r.changes)-1]
	r.changes = append(r.changes[:0], change{value: value, acked: h.now()})
	if last.acked == 0 {
		r.changes = append(r.changes, last)
	}
}

// story is the changes, for people.
func (r *register) story() string {
	var b strings.Builder
	for _, c := range r.changes[max(0, len(r.changes)-8):] {
		fmt.Fprintf(&b, "%.30q", c.value)
		if c.acked != 0 {
			fmt.Fprintf(&b, " (%v)", c.acked)
		}
		b.WriteString(", ")
	}
	return strings.TrimSuffix(b.String(), ", ")
}
