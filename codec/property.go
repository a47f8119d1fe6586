package codec

import "encoding/binary"

// propertyID identifies a property. On the wire it is a variable byte integer; all that exist fit one byte.
type propertyID uint8

const (
	idPayloadFormat       propertyID = 0x01
	idMessageExpiry       propertyID = 0x02
	idContentType         propertyID = 0x03
	idResponseTopic       propertyID = 0x08
	idCorrelationData     propertyID = 0x09
	idSubscriptionID      propertyID = 0x0B
	idSessionExpiry       propertyID = 0x11
	idAssignedClientID    propertyID = 0x12
	idServerKeepAlive     propertyID = 0x13
	idAuthMethod          propertyID = 0x15
	idAuthData            propertyID = 0x16
	idRequestProblemInfo  propertyID = 0x17
	idWillDelay           propertyID = 0x18
	idRequestResponseInfo propertyID = 0x19
	idResponseInformation propertyID = 0x1A
	idServerReference     propertyID = 0x1C
	idReasonString        propertyID = 0x1F
	idReceiveMaximum      propertyID = 0x21
	idTopicAliasMaximum   propertyID = 0x22
	idTopicAlias          propertyID = 0x23
	idMaximumQoS          propertyID = 0x24
	idRetainAvailable     propertyID = 0x25
	idUserProperty        propertyID = 0x26
	idMaximumPacketSize   propertyID = 0x27
	idWildcardAvailable   propertyID = 0x28
	idSubscriptionIDs     propertyID = 0x29
	idSharedAvailable     propertyID = 0x2A

	propertyIDs = 0x2B // how many there can be
)

// propertySet is a set of property identifiers, bit n for identifier n.
type propertySet uint64

const (
	allProperties      propertySet = 1<<propertyIDs - 1
	onlyUserProperties propertySet = 1 << idUserProperty
	// publishRewritten is what each receiver of a PUBLISH gets its own of.
	publishRewritten propertySet = 1<<idMessageExpiry | 1<<idTopicAlias | 1<<idSubscriptionID
	// willRewritten is what a will says to the server, not to the receivers.
	willRewritten propertySet = 1<<idMessageExpiry | 1<<idWillDelay
)

func (s propertySet) has(id propertyID) bool { return s>>id&1 != 0 }

// kind is the data type of a property's value.
type kind uint8

const (
	kindNone   kind = iota // no such property
	kindFlag               // a byte that is 0 or 1
	kindUint16             // two byte integer
	kindUint32             // four byte integer
	kindVarint             // variable byte integer
	kindString             // UTF-8 string
	kindBinary             // binary data
	kindPair               // UTF-8 string pair
)

// propertyRule is all that the parser knows of one property.
type propertyRule struct {
	name     string
	kind     kind
	in       packets // where it may stand
	repeated packets // where it may stand more than once
	zero     *Error  // why its value may not be 0; nil when it may
	invalid  *Error  // why its value is not a string; nil for the rule of all strings
}

// propertyRules is the specification's table of properties. Reading and copying are driven by it.
var propertyRules = [propertyIDs]propertyRule{
	idPayloadFormat:   {name: "payload format indicator", kind: kindFlag, in: inPublish | inWill},
	idMessageExpiry:   {name: "message expiry interval", kind: kindUint32, in: inPublish | inWill},
	idContentType:     {name: "content type", kind: kindString, in: inPublish | inWill, invalid: errContentType},
	idResponseTopic:   {name: "response topic", kind: kindString, in: inPublish | inWill, invalid: errResponseUTF8},
	idCorrelationData: {name: "correlation data", kind: kindBinary, in: inPublish | inWill},
	idSubscriptionID: {name: "subscription identifier", kind: kindVarint, in: inPublish | inSubscribe, repeated: inPublish,
		zero: errSubID0},
	idSessionExpiry:       {name: "session expiry interval", kind: kindUint32, in: inConnect | inConnack | inDisconnect},
	idAssignedClientID:    {name: "assigned client identifier", kind: kindString, in: inConnack},
	idServerKeepAlive:     {name: "server keep alive", kind: kindUint16, in: inConnack},
	idAuthMethod:          {name: "authentication method", kind: kindString, in: inConnect | inConnack | inAuth},
	idAuthData:            {name: "authentication data", kind: kindBinary, in: inConnect | inConnack | inAuth},
	idRequestProblemInfo:  {name: "request problem information", kind: kindFlag, in: inConnect},
	idWillDelay:           {name: "will delay interval", kind: kindUint32, in: inWill},
	idRequestResponseInfo: {name: "request response information", kind: kindFlag, in: inConnect},
	idResponseInformation: {name: "response information", kind: kindString, in: inConnack},
	idServerReference:     {name: "server reference", kind: kindString, in: inEnd},
	idReasonString:        {name: "reason string", kind: kindString, in: inAcks | inEnd | inSuback | inUnsuback | inAuth},
	idReceiveMaximum:      {name: "receive maximum", kind: kindUint16, in: inConnect | inConnack, zero: errReceiveMaximum0},
	idTopicAliasMaximum:   {name: "topic alias maximum", kind: kindUint16, in: inConnect | inConnack},
	idTopicAlias:          {name: "topic alias", kind: kindUint16, in: inPublish, zero: errTopicAlias0},
	idMaximumQoS:          {name: "maximum QoS", kind: kindFlag, in: inConnack},
	idRetainAvailable:     {name: "retain available", kind: kindFlag, in: inConnack},
	idUserProperty:        {name: "user property", kind: kindPair, in: ^packets(0), repeated: ^packets(0), invalid: errUserProperty},
	idMaximumPacketSize:   {name: "maximum packet size", kind: kindUint32, in: inConnect | inConnack, zero: errMaximumPacket0},
	idWildcardAvailable:   {name: "wildcard subscription available", kind: kindFlag, in: inConnack},
	idSubscriptionIDs:     {name: "subscription identifier available", kind: kindFlag, in: inConnack},
	idSharedAvailable:     {name: "shared subscription available", kind: kindFlag, in: inConnack},
}

// propertyErrors are the mistakes that every property has in common, one instance for each so that the log names it.
var propertyErrors = makePropertyErrors()

type propertyError struct{ misplaced, twice Error }

func makePropertyErrors() (list [propertyIDs]propertyError) {
	for id := range list {
		name := propertyRules[id].name
		list[id].misplaced = Error{MalformedPacket, "section 2.2.2.2", name + " in a packet that does not have it"}
		list[id].twice = Error{ProtocolError, "section 2.2.2.2", name + " more than once"}
	}
	return list
}

// properties reads a property block one property at a time. After next reported true, id, and num or data, hold the
// property. After it reported false, err tells whether the block was sound.
type properties struct {
	block []byte
	where Type // 0 for a will
	err   *Error

	id   propertyID
	num  uint32 // value of the numeric kinds
	data []byte // value of string and binary, aliasing the block

	at    int // offset of the next property
	seen  propertySet
	users [2]int // from the first user property to the end of the last
}

// next reads one property.
func (p *properties) next() bool {
	if p.at == len(p.block) {
		return false
	}
	start, id := p.at, propertyID(p.block[p.at])
	if int(id) >= propertyIDs || propertyRules[id].kind == kindNone {
		p.err = errPropertyUnknown
		return false
	}
	rule := &propertyRules[id]
	switch {
	case rule.in>>p.where&1 == 0:
		p.err = &propertyErrors[id].misplaced
	case p.seen.has(id) && rule.repeated>>p.where&1 == 0:
		p.err = &propertyErrors[id].twice
	default:
		p.seen |= 1 << id
		p.id = id
		p.at++
		p.value(rule)
	}
	if id == idUserProperty {
		if p.users[1] == 0 {
			p.users[0] = start
		}
		p.users[1] = p.at
	}
	return p.err == nil
}

// value reads the value at p.at and moves behind it.
func (p *properties) value(rule *propertyRule) {
	rest := p.block[p.at:]
	size := fixedSize(rule.kind)
	if size > len(rest) {
		p.err = errTruncated
		return
	}
	switch rule.kind {
	case kindFlag:
		p.num = uint32(rest[0])
		if p.num > 1 {
			p.err = errFlagProperty
		}
	case kindUint16:
		p.num = uint32(binary.BigEndian.Uint16(rest))
	case kindUint32:
		p.num = binary.BigEndian.Uint32(rest)
	case kindVarint:
		p.num, size, p.err = decodeVarint(rest)
	default:
		size = p.bytes(rule, rest)
	}
	if p.err == nil && rule.zero != nil && p.num == 0 {
		p.err = rule.zero
	}
	p.at += size
}

// bytes reads a string, binary data or a string pair, and returns its size. Of a pair data holds the value.
func (p *properties) bytes(rule *propertyRule, rest []byte) int {
	r := reader{b: rest}
	p.data = r.binary()
	invalid := rule.kind != kindBinary && !ValidString(p.data)
	if rule.kind == kindPair && !invalid {
		p.data = r.binary()
		invalid = !ValidString(p.data)
	}
	switch {
	case r.err != nil:
		p.err = r.err
	case invalid && rule.invalid != nil:
		p.err = rule.invalid
	case invalid:
		p.err = stringError(p.data)
	case p.id == idResponseTopic:
		p.err = checkResponseTopic(p.data)
	}
	return len(rest) - len(r.b)
}

// checkResponseTopic holds a response topic against the rules of topic names [MQTT-3.3.2-14] [MQTT-4.7.3-1].
func checkResponseTopic(topic []byte) *Error {
	if len(topic) == 0 {
		return errResponseEmpty
	}
	if _, _, wildcard := scan(topic); wildcard {
		return errResponseTopic
	}
	return nil
}

// flag is the value of a property that is 0 or 1.
func (p *properties) flag() bool { return p.num != 0 }

// string is the value of a string property.
func (p *properties) string() string { return alias(p.data) }

// userProperties is the stretch of the block that holds all user properties read so far.
func (p *properties) userProperties() []byte {
	if p.users[1] == 0 {
		return nil
	}
	return p.block[p.users[0]:p.users[1]:p.users[1]]
}

// fixedSize is the size of the values of one kind; for those of no fixed size, the least that can be there.
func fixedSize(k kind) int {
	switch k {
	case kindUint16, kindString, kindBinary:
		return 2
	case kindUint32, kindPair:
		return 4
	}
	return 1
}

// propertySize is the size of the first property of a sound block, its identifier included. In one that is not sound
// it stays within the block.
func propertySize(block []byte) int {
	if int(block[0]) >= propertyIDs {
		return len(block)
	}
	k := propertyRules[block[0]].kind
	size := 1 + fixedSize(k)
	switch k {
	case kindVarint:
		for size < len(block) && block[size-1]&moreLength != 0 {
			size++
		}
	case kindString, kindBinary:
		size = behindBinary(block, 1)
	case kindPair:
		size = behindBinary(block, behindBinary(block, 1))
	}
	return min(size, len(block))
}

// behindBinary is the offset behind the string or binary data at offset at.
func behindBinary(block []byte, at int) int {
	if at+2 > len(block) {
		return len(block)
	}
	return at + 2 + int(binary.BigEndian.Uint16(block[at:]))
}

// appendKept copies the properties of a sound block that are not in left, in their order.
func appendKept(b, block []byte, left propertySet) []byte {
	for len(block) > 0 {
		n := keptRun(block, left)
		b = append(b, block[:n]...)
		block = block[n:]
		if len(block) > 0 {
			block = block[propertySize(block):]
		}
	}
	return b
}

// keptSize is the number of bytes that appendKept copies.
func keptSize(block []byte, left propertySet) (size int) {
	for len(block) > 0 {
		n := keptRun(block, left)
		size += n
		block = block[n:]
		if len(block) > 0 {
			block = block[propertySize(block):]
		}
	}
	return size
}

// keptRun is the length of the run at the start of block without a property in left.
func keptRun(block []byte, left propertySet) (n int) {
	for n < len(block) && !left.has(propertyID(block[n])) {
		n += propertySize(block[n:])
	}
	return n
}
