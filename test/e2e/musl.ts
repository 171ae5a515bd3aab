import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { wantsOf } from '../kit/elf.js'
import { unless } from '../kit/privilege.js'
import { unpack, withoutPackage } from './pack.js'

const reason = withoutPackage ?? (spawnSync('musl-gcc', ['--version']).status === 0 ? undefined : 'musl-gcc is not here')

/**
 * A program of musl that loads the shim and has it register itself, as Node.js does, and says the names of what it got. Of Node-API it has as
 * much as that takes; what else the shim wants of it is there, and must not be called.
 */
const program = (missing: readonly string[]) => `
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
static long things;
static int handle(void **result) { *result = &things; return 0; }
int napi_open_handle_scope(void *env, void **scope) { return handle(scope); }
int napi_close_handle_scope(void *env, void *scope) { return 0; }
int napi_create_function(void *env, const char *name, size_t length, void *callback, void *data, void **result) { return handle(result); }
int napi_set_named_property(void *env, void *object, const char *name, void *value) { return puts(name) < 0; }
int napi_create_string_utf8(void *env, const char *text, size_t length, void **result) { return handle(result); }
int napi_set_property(void *env, void *object, void *key, void *value) { return 0; }
int napi_add_finalizer(void *env, void *object, void *data, void *finalize, void *hint, void **result) { return 0; }
${missing.map(name => `void ${name}(void) { fputs("${name} was called\\n", stderr); exit(3); }`).join('\n')}
int main(int count, char **arguments) {
  void *shim = dlopen(arguments[1], RTLD_NOW);
  if (!shim) return fputs(dlerror(), stderr), 2;
  void *(*start)(void *, void *) = dlsym(shim, "napi_register_module_v1");
  return start == 0 || start(&things, &things) == 0;
}
`

const title = 'the shim that was packed loads into a program of musl, and registers all its functions there'
test(title, unless(reason, title, () => {
  const shim = join(unpack(), `prebuilt/linux-${process.arch}/tcptop.node`)
  const folder = mkdtempSync(join(tmpdir(), 'tcptop-musl-'))
  try {
    const given = [...program([]).matchAll(/int (napi_\w+)/g)].map(match => match[1]!)
    const missing = wantsOf(readFileSync(shim)).symbols.filter(name => name.startsWith('napi_') && !given.includes(name))
    writeFileSync(join(folder, 'load.c'), program(missing))
    execFileSync('musl-gcc', ['-rdynamic', '-o', join(folder, 'load'), join(folder, 'load.c')], { stdio: ['ignore', 'inherit', 'inherit'] })
    const { libraries } = wantsOf(readFileSync(join(folder, 'load')))
    assert.equal(libraries, ['libc.so'], 'not a program of musl')
    const { status, stdout, stderr } = spawnSync(join(folder, 'load'), [shim], { encoding: 'utf8' })
    assert.equal([status, stderr], [0, ''])
    const source = readFileSync(new URL('../../../syscall/binding.cc', import.meta.url), 'utf8')
    assert.equal(stdout.trimEnd().split('\n'), [...source.matchAll(/exports\.Set\("(\w+)"/g)].map(match => match[1]))
  } finally {
    rmSync(folder, { recursive: true })
  }
}))

test.run()
