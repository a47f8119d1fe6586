package dynsec

const (
	// nameBytesMax bounds user names, client ids, names of groups and roles, texts and filters: what MQTT can carry.
	nameBytesMax = 65_535
	// clientsMax, groupsMax and rolesMax bound the three tables.
	clientsMax = 1_000_000
	groupsMax  = 100_000
	rolesMax   = 100_000
	// refsMax bounds the roles of one client or group, and the groups of one client.
	refsMax = 1_000
	// aclsMax bounds the ACLs of one role. They are tried one after the other for every message.
	aclsMax = 10_000
	// commandsMax bounds the commands of one message.
	commandsMax = 10_000
	// responseBytesMax bounds one response. A list that does not fit is an error that says to ask for less.
	responseBytesMax = 32 << 20
	// depthMax bounds the nesting of JSON that is read.
	depthMax = 64
	// fileBytesMax bounds the file, read and written.
	fileBytesMax = 1 << 30
	// iterationsNew is how often passwords that are set here are hashed. The file keeps the number for each client.
	iterationsNew = 1_000
	// saltBytes is the length of new salts. Mosquitto 2.0 accepts no other.
	saltBytes = 12
)
