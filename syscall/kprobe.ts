import { readFileSync, writeFileSync } from 'node:fs'
import { attrOf, cString, type FieldValue } from './attr.js'
import { SyscallError, UnsupportedError } from './error.js'
import type { Descriptor, Descriptors } from './fd.js'
import type { Program } from './prog.js'
import {
  PERF_EVENT_IOC_ENABLE, PERF_EVENT_IOC_SET_BPF, PERF_FLAG_FD_CLOEXEC, PERF_TYPE_TRACEPOINT, perfAttr,
} from './uapi.js'

/** Where to ask for kprobes; tests have places of their own. */
export interface KprobePlaces {
  /** The number of the kprobe PMU (since Linux 4.17). */
  readonly pmu: string
  /** Where tracefs may be mounted. */
  readonly tracing: readonly string[]
}

const system: KprobePlaces = {
  pmu: '/sys/bus/event_source/devices/kprobe/type',
  tracing: ['/sys/kernel/tracing', '/sys/kernel/debug/tracing'],
}
/** Our probes in tracefs, each with the process that made it. */
const group = 'tcptop'

/**
 * Attaches a kprobe program to the entry of a function: through the kprobe PMU, whose probes are gone with their descriptor, or where that
 * is missing or refused, through tracefs. Detached when closed. Throws UnsupportedError when there is neither, SyscallError when the
 * kernel refuses, with ENOENT when it has no such function.
 */
export function attachKprobe(descriptors: Descriptors, program: Program, symbol: string, places = system): Descriptor {
  const type = readNumber(places.pmu)
  if (type !== undefined) {
    try {
      return open(descriptors, program, { type, kprobe_func: cString(symbol) })
    } catch (error) {
      if (!(error instanceof SyscallError) || error.code === 'ENOENT' || !tracefs(places)) throw error
    }
  }
  return attachLegacy(descriptors, program, symbol, tracefs(places))
}

/** On all processors and for all processes: what is attached is the probe, not the one processor that the call wants. */
function open(descriptors: Descriptors, program: Program, fields: Partial<Record<keyof typeof perfAttr.fields, FieldValue>>): Descriptor {
  const { native } = descriptors
  const attr = attrOf(perfAttr, { size: perfAttr.size, ...fields })
  const fd = native.perfEventOpen(attr.bytes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC, attr.pointers)
  if (fd < 0) throw new SyscallError('perf_event_open', -fd)
  const event = descriptors.own(fd)
  for (const [name, request, argument] of [
    ['PERF_EVENT_IOC_SET_BPF', PERF_EVENT_IOC_SET_BPF, program.fd], ['PERF_EVENT_IOC_ENABLE', PERF_EVENT_IOC_ENABLE, 0],
  ] as const) {
    const result = native.perfEventIoctl(fd, request, argument)
    if (result >= 0) continue
    event.close()
    throw new SyscallError(`ioctl(${name})`, -result)
  }
  return event
}

function attachLegacy(descriptors: Descriptors, program: Program, symbol: string, folder: string | undefined): Descriptor {
  if (folder === undefined) throw new UnsupportedError('a kprobe', 'CONFIG_KPROBE_EVENTS, and the kprobe PMU or tracefs')
  const events = `${folder}/kprobe_events`
  const name = `${symbol}_${process.pid}`
  removeOrphans(events)
  write(events, `p:${group}/${name} ${symbol}`)
  const remove = () => write(events, `-:${group}/${name}`)
  try {
    const config = readNumber(`${folder}/events/${group}/${name}/id`)
    if (config === undefined) throw new UnsupportedError(`a kprobe in ${folder}`)
    const event = open(descriptors, program, { type: PERF_TYPE_TRACEPOINT, config, sample_period: 1 })
    let closed = false
    return {
      fd: event.fd,
      close: () => {
        event.close()
        if (!closed) remove()
        closed = true
      },
    }
  } catch (error) {
    remove()
    throw error
  }
}

/** A process that was killed could not remove its probes. */
function removeOrphans(events: string): void {
  for (const [, name, pid] of readFileSync(events, 'utf8').matchAll(new RegExp(`^p\\S*:${group}/(\\S+_(\\d+)) `, 'gm'))) {
    if (!isAlive(Number(pid))) write(events, `-:${group}/${name}`)
  }
}

/** Also when it is another user's, whom we may not signal. */
function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}

function tracefs({ tracing }: KprobePlaces): string | undefined {
  return tracing.find(folder => {
    try {
      return readFileSync(`${folder}/kprobe_events`) !== undefined
    } catch {
      return false
    }
  })
}

/** Each write is a command that is added to those before. */
function write(events: string, command: string): void {
  try {
    writeFileSync(events, `${command}\n`, { flag: 'a' })
  } catch (error) {
    const { errno } = error as NodeJS.ErrnoException
    throw errno === undefined ? error : new SyscallError(`write ${events}`, -errno)
  }
}

function readNumber(path: string): number | undefined {
  try {
    return Number(readFileSync(path, 'utf8'))
  } catch {
    return undefined
  }
}
