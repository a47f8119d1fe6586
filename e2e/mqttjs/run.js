// Runs one scenario with MQTT.js against the broker on argv[2], a URL, and prints "ok" or why not. The Go test reads it.
'use strict'
const mqtt = require('mqtt')
const assert = require('node:assert')

const url = process.argv[2]
const version = Number(process.argv[3])
let count = 0

async function dial (options) {
  const id = `js-${version}-${process.pid}-${count++}`
  const base = { clientId: id, protocolVersion: version, reconnectPeriod: 0, connectTimeout: 15000, rejectUnauthorized: false }
  if (version === 3) base.protocolId = 'MQIsdp'
  const c = await mqtt.connectAsync(url, { ...base, ...options }, false)
  c.on('error', fail)
  c.inbox = []
  c.waiting = []
  c.on('message', (topic, payload, packet) => {
    const m = { topic, payload: payload.toString(), packet }
    const w = c.waiting.shift()
    if (w) w(m)
    else c.inbox.push(m)
  })
  c.next = () => c.inbox.length > 0 ? Promise.resolve(c.inbox.shift()) : new Promise(resolve => c.waiting.push(resolve))
  return c
}

async function everyQoS () {
  const c = await dial({})
  for (const sub of [0, 1, 2]) {
    for (const pub of [0, 1, 2]) {
      const topic = `js/${version}/${sub}/${pub}`
      await c.subscribeAsync(topic, { qos: sub })
      await c.publishAsync(topic, topic, { qos: pub })
      const m = await c.next()
      assert.strictEqual(m.payload, topic)
      assert.strictEqual(m.packet.qos, Math.min(sub, pub))
    }
  }
  await c.endAsync()
}

async function retained () {
  const c = await dial({})
  const topic = `js/${version}/retained`
  await c.publishAsync(topic, 'kept', { qos: 1, retain: true })
  await c.subscribeAsync(topic, { qos: 1 })
  const m = await c.next()
  assert.strictEqual(m.payload, 'kept')
  assert.strictEqual(m.packet.retain, true)
  await c.publishAsync(topic, '', { qos: 1, retain: true })
  await c.endAsync()
}

async function will () {
  const watch = await dial({})
  const topic = `js/${version}/will`
  await watch.subscribeAsync(topic, { qos: 1 })
  const gone = await dial({ will: { topic, payload: Buffer.from('bye'), qos: 1, retain: false } })
  gone.stream.destroy()
  assert.strictEqual((await watch.next()).payload, 'bye')
  await watch.endAsync()
}

async function resume () {
  const options = { clientId: `js-resume-${version}-${process.pid}`, clean: false }
  if (version === 5) options.properties = { sessionExpiryInterval: 600 }
  const topic = `js/${version}/resume`
  const first = await dial(options)
  await first.subscribeAsync(topic, { qos: 2 })
  await first.endAsync()
  const pub = await dial({})
  for (let i = 0; i < 50; i++) await pub.publishAsync(topic, String(i), { qos: 1 + i % 2 })
  await pub.endAsync()
  // The messages may come before connectAsync returns: listen from the start.
  const again = mqtt.connect(url, { ...options, protocolVersion: version, reconnectPeriod: 0, rejectUnauthorized: false, ...(version === 3 ? { protocolId: 'MQIsdp' } : {}) })
  const got = []
  await new Promise((resolve, reject) => {
    again.on('error', reject)
    again.on('message', (_, payload) => { if (got.push(payload.toString()) === 50) resolve() })
  })
  // MQTT.js hands a QoS 2 message over at its PUBREL, so the order is that of each QoS.
  for (const rest of [0, 1]) {
    const part = got.map(Number).filter(i => i % 2 === rest)
    part.forEach((n, i) => assert.strictEqual(n, 2 * i + rest))
  }
  await again.endAsync()
}

async function takeOver () {
  const clientId = `js-same-${version}-${process.pid}`
  const old = await dial({ clientId })
  const told = new Promise(resolve => old.on('disconnect', packet => resolve(packet.reasonCode)))
  const closed = new Promise(resolve => old.on('close', resolve))
  const fresh = await dial({ clientId })
  if (version === 5) assert.strictEqual(await told, 0x8e)
  await closed
  await fresh.endAsync()
}

async function shared () {
  if (version !== 5) return
  const members = [await dial({}), await dial({})]
  for (const m of members) await m.subscribeAsync('$share/js/jobs/#', { qos: 1 })
  const pub = await dial({})
  for (let i = 0; i < 20; i++) await pub.publishAsync('jobs/x', String(i), { qos: 1 })
  const seen = new Set()
  for (const m of members) for (let i = 0; i < 10; i++) seen.add((await m.next()).payload)
  assert.strictEqual(seen.size, 20)
  for (const c of [...members, pub]) await c.endAsync()
}

async function aliasesAndExpiry () {
  if (version !== 5) return
  const sub = await dial({ properties: { topicAliasMaximum: 5 } })
  await sub.subscribeAsync('js/alias/#', { qos: 1, properties: { subscriptionIdentifier: 9 } })
  const pub = await dial({ autoUseTopicAlias: true, autoAssignTopicAlias: true })
  for (let i = 0; i < 3; i++) {
    await pub.publishAsync('js/alias/topic', String(i), { qos: 1, properties: { messageExpiryInterval: 50, userProperties: { k: ['a', 'b'] } } })
    const m = await sub.next()
    assert.strictEqual(m.topic, 'js/alias/topic')
    assert.strictEqual(m.packet.properties.subscriptionIdentifier, 9)
    assert.deepStrictEqual([...m.packet.properties.userProperties.k], ['a', 'b'])
    assert.ok(m.packet.properties.messageExpiryInterval <= 50)
  }
  await sub.endAsync()
  await pub.endAsync()
}

function fail (err) {
  console.log(err && err.stack ? err.stack : String(err))
  process.exit(1)
}

async function main () {
  for (const scenario of [everyQoS, retained, will, resume, takeOver, shared, aliasesAndExpiry]) {
    const limit = setTimeout(() => fail(new Error(`${scenario.name}: nothing arrived`)), 15000)
    await scenario()
    clearTimeout(limit)
  }
  console.log('ok')
  process.exit(0)
}

main().catch(fail)
