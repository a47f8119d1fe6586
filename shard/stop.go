package shard

import (
	"time"

	"github.com/noctulemq/noctule/codec"
)

// stopAccepting is the first step of a graceful stop: nothing new comes in, and every will, also one that waits for
// its delay, is routed while its receivers are still there [MQTT-3.1.2-8].
func (s *Shard) stopAccepting() {
	s.stopping = true
	s.loop.StopAccepting()
	for i := range s.clients.made { // what is acknowledged from now on could reach nobody
		if c := s.clients.at(i); c.conn != nil {
			c.conn.Pause()
		}
	}
	s.eachSession(func(ss *session) {
		if c := ss.client; c != nil && c.will != nil {
			s.willDue(ss, c.will)
			c.will = nil
		}
		if ss.will != nil {
			s.willDue(ss, ss.will)
			ss.will = nil
			s.storeSession(ss)
		}
	})
	s.publishWills()
	s.sendParcels()
}

// closeAll is the second step: every client is told and closed when its output has drained. idle is told when the
// last connection of this loop has closed.
func (s *Shard) closeAll(deadline time.Time, idle chan<- struct{}) {
	s.idle = idle
	until := s.loop.Now() + int64(time.Until(deadline))
	for i := range s.clients.made {
		c := s.clients.at(i)
		if c.conn == nil && c.sink == nil || c.state == closing {
			continue
		}
		s.close(c, disconnectedBy("server shutting down", codec.ServerShuttingDown), false)
		if c.conn != nil {
			c.conn.CloseAfterFlush(until)
		}
	}
	s.reportIdle()
}

// reportIdle tells a waiting Stop that this loop has no connection left.
func (s *Shard) reportIdle() {
	if s.idle != nil && s.clients.len() == 0 {
		s.idle <- struct{}{}
		s.idle = nil
	}
}

// eachSession visits every session of this loop in slab order.
func (s *Shard) eachSession(visit func(*session)) {
	for i := range s.sessions.made {
		if ss := s.sessions.at(i); ss.id != "" {
			visit(ss)
		}
	}
}
