import { existsSync, readFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { assemble, call, exit, type HelperName, helperName, parseBtf } from '../../bpf-asm/index.js'
import { unless } from '../kit/privilege.js'

const vmlinux = '/sys/kernel/btf/vmlinux'
const reason = existsSync(vmlinux) ? undefined : `no ${vmlinux}`

/** A few of `___BPF_FUNC_MAPPER`, include/uapi/linux/bpf.h: the first, the last, and some between. */
const known: readonly (readonly [name: HelperName, id: number])[] = [
  ['map_lookup_elem', 1], ['ktime_get_ns', 5], ['get_current_pid_tgid', 14], ['get_socket_cookie', 46],
  ['sk_fullsock', 95], ['sk_storage_get', 107], ['seq_write', 127], ['get_current_task_btf', 158], ['loop', 181],
  ['cgrp_storage_delete', 211],
]

for (const [name, id] of known) {
  test(`bpf_${name} is helper ${id}`, () => {
    assert.is(assemble([call(name), exit()]).insns[0]?.imm, id)
    assert.is(helperName(id), `bpf_${name}`)
  })
}

test('an id beyond the list has no name', () => {
  assert.is(helperName(212), undefined)
  assert.is(helperName(-1), undefined)
})

const title = 'every helper has the id that this kernel knows it by'
test(title, unless(reason, title, () => {
  const btf = parseBtf(readFileSync(vmlinux))
  let compared = 0
  for (let id = 1; ; id++) {
    const name = helperName(id)
    if (name === undefined) break
    const theirs = btf.enumValue('bpf_func_id', name.replace(/^bpf_/, 'BPF_FUNC_'))
    // An older kernel does not have the newest.
    if (theirs === undefined) continue
    compared++
    assert.is(theirs, BigInt(id), name)
  }
  assert.ok(compared > 100, `${compared} compared`)
  const end = Number(btf.enumValue('bpf_func_id', '__BPF_FUNC_MAX_ID'))
  assert.is(compared, Math.min(end, 212) - 1)
}))

test.run()
