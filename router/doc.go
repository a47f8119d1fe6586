// Package router answers one question fast: who wants this topic? It owns topic names and filters, their validation
// and matching, shared groups and the tree of retained topics. It knows no sockets, no sessions and no packets.
//
// Filters are grouped by shape: which levels are literal, and whether it ends in '#'. Each shape is one hash table
// keyed by the combined hash of its literal levels, so matching a topic hashes its levels once and probes one table
// for each shape that fits its depth. The cost grows with the number of shapes (tens), not of filters (millions).
//
// Read topic.go first, then index.go; interest.go is the same idea for all loops at once, without a lock.
package router
