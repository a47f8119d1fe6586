package shard

import (
	"fmt"
	"slices"
	"strings"

	"github.com/noctulemq/noctule/auth"
	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/persist"
	"github.com/noctulemq/noctule/router"
)

// pendingSuback is a SUBACK that waits until other loops have taken the session into their shared groups, so that
// the client misses nothing after it.
type pendingSuback struct {
	key, gen uint32 // the session
	serial   uint32 // the connection to which it goes if the session still has it
	id       uint16
	codes    []byte
	fetches  []*replay // to be started after it, or gathered before it
	gathered bool
	waiting  int
}

// orNew returns p, or a new one for a packet of c when it is nil.
func (p *pendingSuback) orNew(c *client, id uint16) *pendingSuback {
	if p != nil {
		return p
	}
	return &pendingSuback{key: c.session.key, gen: c.session.gen, serial: c.serial, id: id}
}

// subscribe handles SUBSCRIBE: filters go into the index, and with it into the interest table, before the SUBACK
// [MQTT-3.8.4-1]; retained messages follow it.
func (s *Shard) subscribe(c *client, h codec.Header, body []byte) error {
	in := &s.in.subscribe
	if err := in.Decode(h, body, c.version); err != nil {
		return err
	}
	for i := range in.Filters {
		if err := checkFilter(&in.Filters[i]); err != nil {
			return err
		}
		if c.mounted {
			in.Filters[i].Filter = mountFilter(c, in.Filters[i].Filter)
		}
	}
	if s.debug {
		s.debugFilters(c, in.Filters)
	}
	s.enterFilters(c, in.PacketID, in.SubID, in.Filters)
	return nil
}

// enterFilters enters valid filters, answers, and starts the replay of their retained messages.
func (s *Shard) enterFilters(c *client, id uint16, subID uint32, filters []codec.Subscription) {
	ss := c.session
	s.codes = s.codes[:0]
	s.fetches = s.fetches[:0]
	var pending *pendingSuback
	stored := s.beginChange(ss)
	for i := range filters {
		code, join := s.subscribeOne(c, ss, &filters[i], subID)
		s.codes = append(s.codes, byte(code))
		if join != nil {
			pending = pending.orNew(c, id)
			pending.waiting++
			join.pending = pending
			s.post(join.home, mailJoin, 0, join)
		}
	}
	gather := s.loops > 1 && len(s.fetches) > 0 && len(s.fetches) <= gatherMax
	if gather {
		pending = pending.orNew(c, id)
	}
	if stored = s.endChange(stored); stored != nil {
		pending = pending.orNew(c, id)
		pending.waiting++
		stored.then = func() { s.completeSuback(pending) }
	}
	if pending != nil {
		s.holdSubscriber(c)
		pending.codes = slices.Clone(s.codes)
		pending.fetches = slices.Clone(s.fetches)
		if gather {
			s.gather(pending)
		}
		s.fulfil(stored)
	} else {
		s.sendSuback(c, id, s.codes)
		s.startReplays(ss, s.fetches)
	}
	clear(s.fetches)
}

// checkFilter applies the rules of topic filters and shared subscriptions [MQTT-4.7.1-1] [MQTT-4.8.2-1]
// [MQTT-4.8.2-2] [MQTT-3.8.3-4].
func checkFilter(f *codec.Subscription) error {
	if router.TooDeep(f.Filter) {
		return errTooDeep
	}
	share, shared, ok := router.ParseShare(f.Filter)
	switch {
	case shared && !ok:
		return errShareName
	case shared && f.NoLocal:
		return errNoLocalShared
	case shared && !router.ValidFilter(share.Filter), !shared && !router.ValidFilter(f.Filter):
		return errFilter
	}
	return nil
}

// subscribeOne enters one valid filter. join is set when the filter is shared and its group lives on another loop.
func (s *Shard) subscribeOne(c *client, ss *session, f *codec.Subscription, subID uint32) (code codec.ReasonCode, join *groupJoin) {
	qos := min(f.QoS, c.maxQoS())
	filter := f.Filter
	if !s.may(ss.who, auth.Subscribe, filter) {
		switch c.version {
		case codec.V5:
			return codec.NotAuthorized, nil
		case codec.V311:
			return codec.UnspecifiedError, nil
		}
		return codec.ReasonCode(qos), nil // 3.1 has no way to say it
	}
	if ss.isDurable() && s.broker.trouble.Load() {
		s.count.RefusedStoring++
		return c.overQuota(), nil
	}
	known := ss.subs.find(filter) >= 0
	if !known {
		if limit := s.cfg.MaxSubscriptions; limit > 0 && ss.subs.weight+filterWeight(filter) > limit {
			s.count.RefusedSubscriptions++
			return c.overQuota(), nil
		}
		filter = strings.Clone(filter)
		ss.subs.add(filter)
		s.count.Subscriptions++
	} else {
		filter = ss.subs.list[ss.subs.find(filter)]
	}
	sub := router.Subscriber{Key: ss.key, ID: subID, QoS: qos, Flags: subscriptionFlags(c, f)}
	s.changeSubscription(ss, persist.PutSubscription, &persist.Subscription{Filter: filter, ID: subID, QoS: qos, Flags: sub.Flags})
	if s.log.Enabled(LogSubscribe) {
		s.log.Log(LogSubscribe, fmt.Sprintf("%s %d %s", ss.id, qos, filter))
	}
	if share, shared, _ := router.ParseShare(filter); shared {
		if !known {
			s.count.SharedFilters++
		}
		return codec.ReasonCode(qos), s.joinGroup(ss, share, sub)
	}
	if !known {
		s.count.Filters++
	}
	s.index.Subscribe(filter, sub)
	if f.RetainHandling == 0 || (f.RetainHandling == 1 && !known) { // [MQTT-3.3.1-9] to [MQTT-3.3.1-11]
		s.fetches = append(s.fetches, s.newReplay(filter, sub))
	}
	return codec.ReasonCode(qos), nil
}

// overQuota is what a SUBACK says of a filter that a limit forbids.
func (c *client) overQuota() codec.ReasonCode {
	if c.version == codec.V5 {
		return codec.QuotaExceeded
	}
	return codec.UnspecifiedError
}

// subscriptionFlags translates the subscription options. A bridge's subscriptions are no-local and
// retain-as-published, as Mosquitto has it.
func subscriptionFlags(c *client, f *codec.Subscription) (flags uint8) {
	if f.NoLocal || c.bridge {
		flags |= router.FlagNoLocal
	}
	if f.RetainAsPublished || c.bridge {
		flags |= router.FlagRetainAsPublished
	}
	return flags
}

// maxQoS is the highest QoS the client's listener grants.
func (c *client) maxQoS() uint8 {
	if c.listener == nil {
		return 2
	}
	return c.listener.Settings().Config.MaxQoS
}

func (s *Shard) sendSuback(c *client, id uint16, codes []byte) {
	if c.sink != nil {
		c.sink.subscribed(id, codes)
		return
	}
	if s.debug {
		s.debugf("Sending SUBACK to %s", c.session.id)
	}
	a := codec.Suback{PacketID: id, Codes: codes}
	if c.tellWhy {
		a.ReasonString = whyNot(codes)
		s.answerWhy(c, &a, &a.ReasonString)
		return
	}
	s.answer(c, a.Append(s.scratch[:0], c.version))
}

// completeSuback sends a SUBACK that waited for other loops.
func (s *Shard) completeSuback(p *pendingSuback) {
	p.waiting--
	if p.waiting > 0 {
		return
	}
	ss := s.lookup(p.key, p.gen)
	var c *client
	if ss != nil && ss.client != nil && ss.client.serial == p.serial {
		c = ss.client
		s.sendSuback(c, p.id, p.codes)
	}
	if p.gathered {
		for _, r := range p.fetches {
			s.takeGathered(ss, r, c != nil)
		}
	} else {
		s.startReplays(ss, p.fetches)
	}
	if c != nil {
		s.letSubscriber(c)
	}
}

// holdSubscriber reads nothing more from a client until its SUBSCRIBE or UNSUBSCRIBE is answered.
func (s *Shard) holdSubscriber(c *client) {
	if c.conn != nil && !c.subscribing {
		c.subscribing = true
		c.conn.Pause()
	}
}

func (s *Shard) letSubscriber(c *client) {
	if c.subscribing {
		c.subscribing = false
		s.readOn(c)
	}
}

// beginChange makes the receipt for which the changes to a durable session's filters are stored; nil: nobody waits.
func (s *Shard) beginChange(ss *session) *receipt {
	if ss.isDurable() {
		s.storage.changing = s.newReceipt(nil, 0, 0)
	}
	return s.storage.changing
}

// endChange returns the receipt when there were changes.
func (s *Shard) endChange(r *receipt) *receipt {
	s.storage.changing = nil
	if r != nil && r.pending.Load() == 1 {
		s.freeReceipt(r)
		return nil
	}
	return r
}

// startReplays starts the look-ups of a SUBSCRIBE whose SUBACK has gone out, but for filters that have been
// unsubscribed since; ss is nil when the session has ended.
func (s *Shard) startReplays(ss *session, fetches []*replay) {
	for _, r := range fetches {
		if ss == nil || ss.subs.find(r.filter) < 0 {
			s.replays--
			continue
		}
		s.startReplay(ss, r)
	}
}

// unsubscribe handles UNSUBSCRIBE [MQTT-3.10.4-4] [MQTT-3.11.3-1].
func (s *Shard) unsubscribe(c *client, h codec.Header, body []byte) error {
	in := &s.in.unsubscribe
	if err := in.Decode(h, body, c.version); err != nil {
		return err
	}
	for i, filter := range in.Filters {
		f := codec.Subscription{Filter: filter}
		if err := checkFilter(&f); err != nil {
			return err
		}
		if c.mounted {
			in.Filters[i] = mountFilter(c, filter)
		}
	}
	if s.debug {
		s.debugUnsubscribe(c, in.Filters)
	}
	s.removeFilters(c, in.PacketID, in.Filters)
	return nil
}

// removeFilters removes filters from a session and answers.
func (s *Shard) removeFilters(c *client, id uint16, filters []string) {
	s.codes = s.codes[:0]
	stored := s.beginChange(c.session)
	for _, filter := range filters {
		code := codec.NotAuthorized
		if s.may(c.session.who, auth.Unsubscribe, filter) {
			code = s.unsubscribeOne(c.session, filter)
		}
		s.codes = append(s.codes, byte(code))
	}
	if stored = s.endChange(stored); stored == nil {
		s.sendUnsuback(c, id, s.codes)
		return
	}
	key, serial, codes := c.key, c.serial, slices.Clone(s.codes)
	stored.then = func() {
		if c := s.clients.at(key); c.serial == serial && c.state == connected {
			s.sendUnsuback(c, id, codes)
			s.letSubscriber(c)
		}
	}
	s.holdSubscriber(c)
	s.fulfil(stored)
}

func (s *Shard) sendUnsuback(c *client, id uint16, codes []byte) {
	if c.sink != nil {
		c.sink.subscribed(id, codes)
		return
	}
	if s.debug {
		s.debugf("Sending UNSUBACK to %s", c.session.id)
	}
	a := codec.Unsuback{PacketID: id, Codes: codes}
	if c.tellWhy {
		a.ReasonString = whyNot(codes)
		s.answerWhy(c, &a, &a.ReasonString)
		return
	}
	s.answer(c, a.Append(s.scratch[:0], c.version))
}

func (s *Shard) unsubscribeOne(ss *session, filter string) codec.ReasonCode {
	i := ss.subs.find(filter)
	if i < 0 {
		s.awaitStored(s.storage.changing)
		return codec.NoSubscriptionExisted
	}
	if s.log.Enabled(LogUnsubscribe) {
		s.log.Log(LogUnsubscribe, ss.id+" "+filter)
	}
	s.changeSubscription(ss, persist.DeleteSubscription, &persist.Subscription{Filter: ss.subs.list[i]})
	filter = ss.subs.list[i] // the packet's is borrowed, and a group's home loop reads it later
	s.dropSubscription(ss, filter)
	s.cancelReplaysOf(ss, filter)
	ss.subs.removeAt(i)
	return codec.Success
}

// whyNot is the first refusal among reason codes, in words; empty when there is none.
func whyNot(codes []byte) string {
	for _, c := range codes {
		if c >= byte(codec.UnspecifiedError) {
			return codec.ReasonCode(c).String()
		}
	}
	return ""
}
