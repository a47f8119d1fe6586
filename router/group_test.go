package router

import (
	"slices"
	"testing"
)

// newGroup returns a group of n online members with the keys 0 to n-1.
func newGroup(t *testing.T, n int) (*Index, *Group) {
	t.Helper()
	h := NewHasher(1)
	x := NewIndex(&h, nil, 0)
	for key := range uint32(n) {
		if _, replaced := x.Join(Share{"g", "a"}, Member{Key: key, Loop: uint8(key % 3), Online: true}); replaced {
			t.Fatalf("member %d is there already", key)
		}
	}
	return x, x.Group(Share{"g", "a"})
}

// pick returns the key of the chosen member.
func pick(t *testing.T, g *Group, s Strategy, hash, skip uint64) uint32 {
	t.Helper()
	i, ok := g.Pick(s, hash, skip)
	if !ok {
		t.Fatal("nobody was picked")
	}
	return g.Members[i].Key
}

func TestJoinAndLeave(t *testing.T) {
	h := NewHasher(1)
	x := NewIndex(&h, NewInterest(), 0)
	s, other := Share{"g", "a/+"}, Share{"h", "a/+"}
	g, replaced := x.Join(s, Member{Key: 1, Loop: 1, QoS: 1})
	if replaced || x.Group(s) != g || x.Group(other) != nil {
		t.Fatal("the first member makes the group")
	}
	x.Join(s, Member{Key: 1, Loop: 2})
	x.Join(other, Member{Key: 1, Loop: 1})
	if _, replaced = x.Join(s, Member{Key: 1, Loop: 1, QoS: 2, Gen: 5}); !replaced || g.Members[0] != (Member{Key: 1, Loop: 1, QoS: 2, Gen: 5}) {
		t.Errorf("joining again replaces: %v, %+v", replaced, g.Members)
	}
	var topic Topic
	topic.Scan(&h, "a/b")
	if got := x.Match(&topic, nil); len(got) != 1 || len(got[0].Groups) != 2 || len(got[0].Subs) != 0 {
		t.Fatalf("matched %d entries", len(got))
	}
	if x.Len() != 0 {
		t.Errorf("Len() = %d counts members", x.Len())
	}
	if x.Leave(s, 3, 1) || x.Leave(Share{"g", "a"}, 1, 1) {
		t.Error("a stranger left")
	}
	if !x.Leave(s, 1, 1) || !x.Leave(s, 2, 1) || x.Group(s) != nil {
		t.Error("the group goes with its last member")
	}
	if got := x.Match(&topic, nil); len(got) != 1 || len(got[0].Groups) != 1 || got[0].Groups[0].Share != other {
		t.Error("the other group of the filter has to stay")
	}
	x.Leave(other, 1, 1)
	checkEmpty(t, x)
}

func TestRoundRobinIsFairInOrderOfSubscription(t *testing.T) {
	_, g := newGroup(t, 5)
	for turn := range uint32(20) {
		if key := pick(t, g, RoundRobin, 0, 0); key != turn%5 {
			t.Fatalf("turn %d picked %d, want %d", turn, key, turn%5)
		}
	}
}

func TestRoundRobinGoesOnWhenMembersComeAndGo(t *testing.T) {
	x, g := newGroup(t, 4)
	picks := func(n int) (keys []uint32) {
		for range n {
			keys = append(keys, pick(t, g, RoundRobin, 0, 0))
		}
		return keys
	}
	want := func(step string, got []uint32, want ...uint32) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Fatalf("%s: picked %d, want %d", step, got, want)
		}
	}
	want("four members", picks(2), 0, 1)
	x.Leave(g.Share, 0, 0)
	want("one before the turn left", picks(3), 2, 3, 1)
	x.Join(g.Share, Member{Key: 9, Online: true})
	want("one joined", picks(4), 2, 3, 9, 1)
	x.Leave(g.Share, 2, 2)
	want("the next one left", picks(3), 3, 9, 1)
	g.SetOnline(0, 3, false)
	want("one went offline", picks(3), 9, 1, 9)
	x.Leave(g.Share, 0, 9)
	want("the last in order left", picks(2), 1, 1)
}

func TestStickyKeepsItsMember(t *testing.T) {
	x, g := newGroup(t, 4)
	for range 5 {
		if key := pick(t, g, Sticky, 0, 0); key != 0 {
			t.Fatalf("picked %d", key)
		}
	}
	g.SetOnline(0, 0, false)
	for range 5 {
		if key := pick(t, g, Sticky, 0, 0); key != 1 {
			t.Fatalf("picked %d after 0 went offline, want 1", key)
		}
	}
	g.SetOnline(0, 0, true)
	if key := pick(t, g, Sticky, 0, 0); key != 1 {
		t.Fatalf("picked %d after 0 came back, the choice sticks to 1", key)
	}
	x.Leave(g.Share, 0, 0)
	if key := pick(t, g, Sticky, 0, 0); key != 1 {
		t.Fatalf("picked %d after another one left, want 1", key)
	}
}

// The same hash goes to the same member; one that leaves moves only its own messages; the shares are about equal.
func TestHashStrategiesAreStableAndFair(t *testing.T) {
	for _, s := range []Strategy{HashClient, HashTopic} {
		const members, hashes = 8, 20_000
		x, g := newGroup(t, members)
		r := newRandom(51)
		chosen := make(map[uint64]uint32)
		count := make([]int, members)
		for range hashes {
			hash := r.Uint64()
			key := pick(t, g, s, hash, 0)
			chosen[hash] = key
			count[key]++
		}
		for key, n := range count {
			if n < hashes/members/2 || n > hashes/members*2 {
				t.Errorf("strategy %d: member %d got %d of %d", s, key, n, hashes)
			}
		}
		x.Leave(g.Share, 0, 3)
		for hash, key := range chosen {
			if now := pick(t, g, s, hash, 0); now != key && key != 3 {
				t.Fatalf("strategy %d: a message of member %d moved to %d when 3 left", s, key, now)
			}
		}
		x.Join(g.Share, Member{Key: 3, Online: true})
		for hash, key := range chosen {
			if now := pick(t, g, s, hash, 0); now != key {
				t.Fatalf("strategy %d: a message of member %d goes to %d when 3 is back", s, key, now)
			}
		}
	}
}

var strategies = []Strategy{RoundRobin, Sticky, HashClient, HashTopic}

func TestOnlineMembersComeFirst(t *testing.T) {
	for _, s := range strategies {
		_, g := newGroup(t, 5)
		for _, key := range []uint32{0, 1, 2, 4} {
			g.SetOnline(uint8(key%3), key, false)
		}
		for hash := range uint64(50) {
			if key := pick(t, g, s, hash<<57, 0); key != 3 {
				t.Fatalf("strategy %d picked %d, only 3 is online", s, key)
			}
		}
		g.SetOnline(0, 3, false)
		if _, ok := g.Pick(s, 1, 0); !ok {
			t.Errorf("strategy %d: with all offline one has to queue", s)
		}
	}
}

// Who turned the message down is not asked again; each member is asked once, those online first.
func TestSkippedMembersAreNotPickedAgain(t *testing.T) {
	for _, s := range strategies {
		_, g := newGroup(t, 6)
		g.SetOnline(1, 1, false)
		g.SetOnline(1, 4, false)
		skip := uint64(0)
		for turn := range 6 {
			i, ok := g.Pick(s, 77, skip)
			if !ok || skip&(1<<i) != 0 {
				t.Fatalf("strategy %d, turn %d: picked %d, %v", s, turn, i, ok)
			}
			if g.Members[i].Online != (turn < 4) {
				t.Fatalf("strategy %d, turn %d: member %d is online %v", s, turn, i, g.Members[i].Online)
			}
			skip |= 1 << i
		}
		if i, ok := g.Pick(s, 77, skip); ok {
			t.Errorf("strategy %d: picked %d when all had turned it down", s, i)
		}
	}
}

func TestMembersBeyondTheSkipMaskArePicked(t *testing.T) {
	for _, s := range strategies {
		_, g := newGroup(t, 70)
		if i, ok := g.Pick(s, 3, ^uint64(0)); !ok || i < 64 {
			t.Errorf("strategy %d: picked %d, %v", s, i, ok)
		}
	}
}

func TestEmptyGroupPicksNobody(t *testing.T) {
	for _, s := range strategies {
		if _, ok := (&Group{}).Pick(s, 1, 0); ok {
			t.Errorf("strategy %d picked somebody", s)
		}
	}
}

func TestPickAllocatesNothing(t *testing.T) {
	_, g := newGroup(t, 10)
	for _, s := range strategies {
		if n := testing.AllocsPerRun(100, func() { g.Pick(s, 5, 1) }); n != 0 {
			t.Errorf("strategy %d: %v allocations", s, n)
		}
	}
}
