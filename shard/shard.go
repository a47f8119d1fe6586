package shard

import (
	"math/rand/v2"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/config"
	"github.com/noctulemq/noctule/loop"
	"github.com/noctulemq/noctule/router"
)

// Shard is the broker on one loop: its clients, sessions, subscriptions and its partition of the retained messages.
// It implements loop.Handler; every method runs on the loop's thread unless it says otherwise.
type Shard struct {
	// Immutable after start.
	broker   *Broker
	loop     *loop.Loop
	log      Logger
	hasher   *router.Hasher
	interest *router.Interest // nil with one loop
	loops    int
	id       uint8
	strategy router.Strategy

	// Loop thread only, all below.
	cfg      *config.Config // as of the last reload
	clients  slab[client]
	sessions slab[session]
	byID     map[string]uint32
	index    *router.Index
	retained retained
	rng      *rand.Rand
	count    Counters
	serial   uint32 // of the last client record taken
	stopping bool
	debug    bool            // packets are logged
	idle     chan<- struct{} // set while a stop waits for our connections to end

	retainedTimer loop.Timer
	sources       map[*identity]sourceRights
	comings       map[uint64]*gauge // of hashes of client identifiers, under client_connection_rate

	crossing crossings
	storage  storage
	// parcels are those being filled, by loop; parcelsOpen has a bit for each.
	parcels     []*parcel
	parcelsOpen uint64

	// Work found during a turn and done at its end. Each list is bounded by the clients and messages of one turn.
	willsDue     []*will
	doomed       []*client
	fetchQueue   []*replay
	replaysDue   []sessionRef
	replaysSpare []sessionRef
	replayBudget int
	nudged       bool
	paced        bool

	// Replays of this loop's sessions that have not ended, and the live log while there are any.
	replays int
	live    []liveNote
	liveSeq uint64

	// Scratch, reused for every packet; nothing in it outlives the handling of one.
	in struct {
		connect     codec.Connect
		publish     codec.Publish
		ack         codec.Ack
		subscribe   codec.Subscribe
		unsubscribe codec.Unsubscribe
		disconnect  codec.Disconnect
		auth        codec.Auth
	}
	pub, queuedPub, replayPub publication
	probe                     router.Topic
	out                       codec.PublishOut
	whole                     []byte // the packet in hand when its array was given to us
	entries                   []*router.Entry
	routes                    *[routesKept]route
	lastRoute                 *route
	merged                    []mergedCopy
	routeSeq                  uint64
	codes                     []byte
	fetches                   []*replay
	scratch, head, props      []byte
	mounted                   []byte   // a topic behind its mount point
	visitor                   identity // of the CONNECT in hand
	detail                    string   // what the log adds to the refusal in hand
	oneID                     [1]uint32
}

// scratchBytes is the room for packets that are built before they are copied to an output: acknowledgements, CONNACK,
// and the head of a PUBLISH sent by reference.
const scratchBytes = 4 << 10

func newShard(b *Broker, id int, l *loop.Loop) *Shard {
	s := &Shard{
		broker: b, cfg: b.config(), loop: l, log: b.log, hasher: &b.hasher, interest: b.interest, loops: b.loops,
		id: uint8(id), strategy: b.strategy,
		byID:    make(map[string]uint32),
		index:   router.NewIndex(&b.hasher, b.interest, id),
		rng:     rand.New(rand.NewPCG(b.seed, uint64(id)+1)),
		scratch: make([]byte, 0, scratchBytes), head: make([]byte, 0, scratchBytes), props: make([]byte, 0, scratchBytes),
	}
	s.retained = retained{tree: router.NewRetained[*Message](), cleared: make(map[string]uint64)}
	s.retainedTimer.Kind = timerRetained
	s.parcels = make([]*parcel, b.loops)
	s.crossing.max = s.cfg.MaxCrossingBytes
	s.initStorage()
	for class := range s.crossing.to {
		s.crossing.to[class] = make([]backlog, b.loops)
	}
	return s
}

// Kinds of mail between shards. The body's type follows the name.
const (
	mailPublish       uint32 = iota + 1 // *Message: route it to our sessions
	mailParcel                          // *parcel: route what is in it to our sessions
	mailRetain                          // *Message: store it in our partition
	mailFetch                           // *replay: look up in our partition
	mailFetched                         // *replay: came back
	mailJoin                            // *groupJoin: take a member into a group that lives here
	mailJoined                          // *groupJoin: taken
	mailLeave                           // *groupLeave: a member is gone
	mailOnline                          // *groupLeave: a member came or went
	mailShared                          // *sharedDelivery: for a member here
	mailSharedBack                      // *sharedDelivery: the member did not take it
	mailHold                            // *throttleMail: stop reading from our publisher Arg
	mailResume                          // *throttleMail: read from it again
	mailMark                            // Arg is a crossingClass: answer when all before it is handled
	mailThrough                         // Arg is a crossingClass: the answer
	mailNudge                           // nothing: take another turn
	mailCall                            // func(*Shard): from the control plane
	mailReceipt                         // *receipt: as mailPublish, and it waits
	mailRetainReceipt                   // *receipt: as mailRetain, and it waits
	mailComplete                        // *receipt: nothing is pending for it
	mailGrouped                         // *group: is stored
)

// post sends mail to another loop (or our own), never blocking.
func (s *Shard) post(to int, kind, arg uint32, body any) {
	if s.parcelsOpen&(1<<to) != 0 {
		s.sendParcel(to)
	}
	s.loop.Post(to, loop.Mail{Kind: kind, Arg: arg, Body: body})
}

// nudge makes sure that another turn follows this one.
func (s *Shard) nudge() {
	if !s.nudged {
		s.nudged = true
		s.post(int(s.id), mailNudge, 0, nil)
	}
}

// Mail implements loop.Handler.
func (s *Shard) Mail(from int, m loop.Mail) {
	switch m.Kind {
	case mailPublish:
		s.receivePublish(m.Body.(*Message))
	case mailParcel:
		s.receiveParcel(m.Body.(*parcel))
	case mailRetain:
		msg := m.Body.(*Message)
		s.keepRetained(msg, nil)
		msg.Release()
	case mailReceipt:
		s.receiveReceipt(m.Body.(*receipt))
	case mailRetainReceipt:
		r := m.Body.(*receipt)
		s.keepRetained(r.msg, r)
		s.fulfil(r)
	case mailComplete:
		s.complete(m.Body.(*receipt))
	case mailGrouped:
		s.grouped(m.Body.(*group))
	case mailFetch:
		s.fetchQueue = append(s.fetchQueue, m.Body.(*replay))
	case mailFetched:
		s.fetched(m.Body.(*replay))
	case mailJoin:
		j := m.Body.(*groupJoin)
		s.index.Join(j.share, j.member)
		s.post(int(j.member.Loop), mailJoined, 0, j)
	case mailJoined:
		s.completeSuback(m.Body.(*groupJoin).pending)
	case mailLeave:
		l := m.Body.(*groupLeave)
		s.index.Leave(l.share, l.loop, l.key)
	case mailOnline:
		s.memberOnline(m.Body.(*groupLeave))
	case mailShared:
		s.receiveShared(m.Body.(*sharedDelivery))
	case mailSharedBack:
		s.sharedAgain(m.Body.(*sharedDelivery))
	case mailHold:
		s.throttleLocal(m.Arg, m.Body.(*throttleMail).gen, true)
	case mailResume:
		s.throttleLocal(m.Arg, m.Body.(*throttleMail).gen, false)
	case mailMark:
		s.marked(from, crossingClass(m.Arg))
	case mailThrough:
		s.through(from, crossingClass(m.Arg))
	case mailNudge:
		s.nudged = false
	case mailCall:
		m.Body.(func(*Shard))(s)
	}
}

// receivePublish routes a publication from another loop to our sessions.
func (s *Shard) receivePublish(m *Message) {
	p := &s.pub
	p.load(m, s.loop.Now())
	m.Release()
	s.routeLocal(p, s.routeOf(p))
	p.reset()
}

// Expired implements loop.Handler.
func (s *Shard) Expired(t *loop.Timer) {
	switch t.Kind {
	case timerClient:
		s.clientDue(s.clients.at(t.Key))
	case timerSession:
		s.sessionDue(s.sessions.at(t.Key))
	case timerRetained:
		s.retainedDue()
	case timerFlow:
		s.flowDue(s.clients.at(t.Key))
	}
}

// EndTurn implements loop.Handler: what was put off while packets were handled.
func (s *Shard) EndTurn() {
	if len(s.doomed) > 0 {
		s.closeDoomed()
	}
	if len(s.willsDue) > 0 {
		s.publishWills()
	}
	s.runDueReplays()
	if len(s.doomed)+len(s.willsDue) > 0 {
		s.nudge() // found while the rings were drained for a look-up
	}
	if s.storage.store != nil {
		s.runStorage()
	}
	s.sendParcels()
}
