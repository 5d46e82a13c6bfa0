// Runs rules in the engine that their languages come from, and tells the outcome or the speed. One JSON document a line
// comes in, one goes out. The packages are looked for in the folder given as the first argument.

import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

const load = createRequire(`${process.argv[2]}/`)
const { transform } = load('@segment/actions-core')
const { parseFql, validate } = load('@segment/destination-subscriptions')
const BATCH = 1000

function outcome(act) {
  try {
    const value = act()
    return { value: value === undefined ? null : value }
  } catch {
    return { error: true }
  }
}

function perSecond(act, seconds) {
  for (let done = 0; done < 10 * BATCH; done++) act()
  const until = performance.now() + seconds * 1000
  const before = process.cpuUsage()
  let done = 0
  do {
    for (let each = 0; each < BATCH; each++) act()
    done += BATCH
  } while (performance.now() < until)
  const spent = process.cpuUsage(before)
  return (done * 1e6) / (spent.user + spent.system)
}

const answers = {
  versions: () => ({ node: process.versions.node }),
  mappings: ({ mappings, events }) => mappings.map((mapping) => events.map((event) => outcome(() => transform(mapping, event)))),
  filters: ({ filters, events }) =>
    filters.map((text) => events.map((event) => outcome(() => validate(parseFql(text), event)))),
  mapping_rate: ({ mapping, event, seconds }) => perSecond(() => transform(mapping, event), seconds),
  filter_rate: ({ filter, event, seconds }) => {
    const tree = parseFql(filter)
    return perSecond(() => validate(tree, event), seconds)
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line)
  process.stdout.write(JSON.stringify(answers[request.ask](request)) + '\n')
}
