package conformance

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestHugeClaims: a length of 256 MiB, or 100 MiB in the first packet, makes the broker close and not reserve. Resident
// and virtual size are read from the kernel while the connections are open.
func TestHugeClaims(t *testing.T) {
	b := special(t)
	witness := join(t, b, hello{level: v5, id: "witness"})
	before := sizeOf(t, b)
	for i := range 60 {
		switch i % 3 {
		case 0:
			c := dial(t, b)
			c.send(hx("10 80 80 80 32 0004 4D515454 05 02"), make([]byte, 5000))
			c.expectClose()
		case 1:
			c := join(t, b, hello{level: v5, id: fmt.Sprint("claim", i)})
			c.send(hx("30 FF FF FF 7F 0001 61 00"), make([]byte, 5000))
			c.expectRefusal(0x95)
		case 2:
			c := join(t, b, hello{level: v4, id: fmt.Sprint("claim", i)})
			c.send(hx("30 FF FF FF 7F 0001 61"), make([]byte, 5000))
			c.expectClose()
		}
	}
	witness.ping()
	checkGrowth(t, before, sizeOf(t, b), 48<<20, 512<<20)
}

// TestClaimsWithinTheLimitAreNotReserved: many clients announce a packet of just under the maximum and send only its
// first bytes; memory follows what came, not what was announced.
func TestClaimsWithinTheLimitAreNotReserved(t *testing.T) {
	b := special(t)
	witness := join(t, b, hello{level: v5, id: "witness"})
	before := sizeOf(t, b)
	for i := range 100 {
		c := join(t, b, hello{level: v5, id: fmt.Sprint("claim", i)})
		c.send(append(appendVarint([]byte{0x30}, 1_990_000), bin("topic", 0, make([]byte, 1000))...))
	}
	witness.ping()
	checkGrowth(t, before, sizeOf(t, b), 64<<20, 1<<30)
}

// TestManyUserPropertiesInConnect cost about what a long identifier costs: the connection is served or refused, and
// memory stays bounded.
func TestManyUserPropertiesInConnect(t *testing.T) {
	b := special(t)
	witness := join(t, b, hello{level: v5, id: "witness"})
	before := sizeOf(t, b)
	var block []byte
	for range 5000 {
		block = append(block, bin(userProperty, "some", "thing")...)
	}
	for i := range 50 {
		join(t, b, hello{level: v5, id: fmt.Sprint("many", i), props: block})
	}
	witness.ping()
	checkGrowth(t, before, sizeOf(t, b), 48<<20, 512<<20)
}

// size is a process's memory in bytes.
type size struct{ virtual, resident int }

func sizeOf(t *testing.T, b *broker) size {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", b.pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text))
	virtual, err1 := strconv.Atoi(fields[0])
	resident, err2 := strconv.Atoi(fields[1])
	if err1 != nil || err2 != nil {
		t.Fatalf("statm %q", text)
	}
	return size{virtual * os.Getpagesize(), resident * os.Getpagesize()}
}

func checkGrowth(t *testing.T, before, after size, resident, virtual int) {
	t.Helper()
	if grown := after.resident - before.resident; grown > resident {
		t.Errorf("resident memory grew by %d KiB, at most %d KiB wanted", grown>>10, resident>>10)
	}
	if grown := after.virtual - before.virtual; grown > virtual {
		t.Errorf("virtual memory grew by %d KiB, at most %d KiB wanted", grown>>10, virtual>>10)
	}
}

// TestSlowConnect: a CONNECT that is not whole within `connect_timeout` ends the connection, whether nothing comes, a
// part of it, or a byte now and then.
func TestSlowConnect(t *testing.T) {
	b := special(t, "connect_timeout 1")
	witness := join(t, b, hello{level: v5, id: "witness"})
	whole := hello{level: v4, id: "slow"}.bytes()
	silent, half, dribble := dial(t, b), dial(t, b), dial(t, b)
	start := time.Now()
	half.send(whole[:len(whole)-1])
	for i := 0; ; i++ {
		if i < len(whole)-1 {
			dribble.send(whole[i : i+1])
		}
		_, err := dribble.readWithin(150 * time.Millisecond)
		if err != nil && closedByPeer(err) {
			break
		}
		if time.Since(start) > patience {
			t.Fatal("a client that sends a byte now and then was not closed")
		}
	}
	if after := time.Since(start); after < 900*time.Millisecond || after > 5*time.Second {
		t.Errorf("closed after %v, want about a second", after)
	}
	silent.expectClose()
	half.expectClose()
	witness.ping()
}
