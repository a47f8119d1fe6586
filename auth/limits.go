package auth

// Bounds on what a password or ACL file may hold, so that a wrong path or a hostile file is an error and not a memory
// problem. A file at its bounds takes about 300 MiB once loaded.
const (
	// fileBytesMax bounds one file: half a million users with $7$ hashes.
	fileBytesMax = 64 << 20
	// lineBytesMax bounds one line: the longest user name or topic filter of MQTT, and a hash.
	lineBytesMax = 72 << 10
	// nameBytesMax is the length of the longest string of MQTT.
	nameBytesMax = 65535
	// rulesMax bounds the rules of an ACL file.
	rulesMax = 1 << 20
	// errorsMax ends the reading of a file that is something else.
	errorsMax = 20
	// warningsMax bounds what is said about a file that is in force.
	warningsMax = 100
)

// Bounds of stored hashes. A file that asks for more is refused.
const (
	// IterationsMax bounds PBKDF2: about 5 s of one core.
	IterationsMax = 5_000_000
	// argonMemoryMax bounds the memory of one argon2id hash, in KiB. Hashes that run at the same time share it too: a
	// login waits on its worker for its part.
	argonMemoryMax = 256 << 10
	// argonWorkMax bounds memory in KiB times passes: about 5 s of one core.
	argonWorkMax = 4 << 20
	// argonThreadsMax bounds the lanes of argon2id, and with them its threads.
	argonThreadsMax = 16
	// saltBytesMax bounds a salt.
	saltBytesMax = 128
	// argonHashMin and argonHashMax bound the length of an argon2id hash; the others have 64 bytes.
	argonHashMin, argonHashMax = 12, 128
)
