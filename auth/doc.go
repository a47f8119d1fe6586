// Package auth decides who may connect, and what a client may publish, receive and subscribe to: password files and ACL
// files as Mosquitto has them, and in auth/dynsec Mosquitto's dynamic security.
//
// A Scope is everything that decides for one listener, or for all of them. It is immutable: a reload makes a new one.
// Providers that change while they run (dynamic security) synchronise themselves.
//
// It knows no sockets and starts no goroutines. Login may take as long as a password hash and runs on a worker, never on
// a loop; Rights and Allows take no lock and run on the loops.
package auth
