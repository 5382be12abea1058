/** Programs that keep their secrets in a TPM, on ours: systemd-creds, systemd-cryptenroll, clevis, OpenSSL with its tpm2 provider. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { STARTED, startCuseTpm } from '../../support/cuse-tpm.ts'
import { startProxyTpm } from '../../support/proxy-tpm.ts'
import { temporaryDirectory } from '../../support/swtpm.ts'
import { tool, tpm2Tools } from '../../support/tools.ts'

describe('systemd-creds', () => {
  it('unseals what it has sealed to a PCR, also after a restart, and not once the PCR has changed', async (t) => {
    const files = temporaryDirectory(t)
    const [secret, sealed] = [join(files, 'secret'), join(files, 'sealed')]
    writeFileSync(secret, 'the password of the database')
    const first = await startProxyTpm(t)
    await tool('systemd-creds', [
      ...['encrypt', '--with-key=tpm2', `--tpm2-device=${first.resourceManagerPath}`, '--tpm2-pcrs=16'],
      ...['--name=database', secret, sealed],
    ])
    assert.ok(!readFileSync(sealed, 'latin1').includes('password'))
    const open = (device: string): Promise<string> =>
      tool('systemd-creds', ['decrypt', `--tpm2-device=${device}`, '--name=database', sealed, '-'])
    assert.equal(await open(first.resourceManagerPath), 'the password of the database')
    assert.equal(await first.swtpm.stop(), 0)

    const second = await startProxyTpm(t, ['--tpm2'], first.directory)
    assert.equal(await open(second.resourceManagerPath), 'the password of the database')
    await tpm2Tools(`device:${second.resourceManagerPath}`)('pcrextend', `16:sha256=${'12'.repeat(32)}`)
    await assert.rejects(open(second.resourceManagerPath), /Operation not permitted|[Pp]olicy|unseal/)
  })
})

describe('on /dev/NAMErm of swtpm cuse', () => {
  it('systemd-creds, systemd-cryptenroll and clevis seal, and unseal until the PCR has changed', async (t) => {
    const files = temporaryDirectory(t)
    const [secret, sealed, disk] = [join(files, 'secret'), join(files, 'sealed'), join(files, 'disk')]
    const { path } = await startCuseTpm(t, [...STARTED, '--resource-manager'])
    const device = `${path}rm`
    const shell = (script: string): Promise<string> =>
      tool('sh', ['-ec', script], { TPM2TOOLS_TCTI: `device:${device}`, PASSWORD: 'password' })
    writeFileSync(secret, 'a secret')
    await shell(
      `systemd-creds encrypt --with-key=tpm2 --tpm2-device=${device} --tpm2-pcrs=16 --name=s ${secret} ${sealed}`,
    )
    await shell(`clevis encrypt tpm2 '{"pcr_bank":"sha256","pcr_ids":"16"}' <${secret} >${sealed}.jwe`)
    const creds = (): Promise<string> =>
      shell(`systemd-creds decrypt --tpm2-device=${device} --name=s ${sealed} -`)
    const clevis = (): Promise<string> => shell(`clevis decrypt <${sealed}.jwe`)
    // At once: each has keys and a session in the TPM.
    assert.deepEqual(await Promise.all([creds(), clevis(), creds()]), ['a secret', 'a secret', 'a secret'])

    const format = '--type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000'
    await shell(`truncate -s 32M ${disk}; printf password | cryptsetup luksFormat -q ${format} ${disk} -`)
    await shell(`systemd-cryptenroll --tpm2-device=${device} --tpm2-pcrs=16 ${disk}`)
    assert.match(await shell(`systemd-cryptenroll ${disk}`), /1 +tpm2/)

    await tpm2Tools(`device:${device}`)('pcrextend', `16:sha256=${'12'.repeat(32)}`)
    await assert.rejects(creds())
    await assert.rejects(clevis())
  })
})

describe('tpm2-openssl', () => {
  it('signs with a key that only its own TPM can use', async (t) => {
    const files = temporaryDirectory(t)
    const [key, publicKey, message, signature] = ['key', 'public', 'message', 'signature'].map((name) =>
      join(files, name),
    ) as [string, string, string, string]
    writeFileSync(message, 'signed by a TPM')
    const [own, other] = [await startProxyTpm(t), await startProxyTpm(t)]
    const openssl = (device: string, ...args: string[]): Promise<string> =>
      tool('openssl', args, { TPM2OPENSSL_TCTI: `device:${device}` })
    const providers = ['-provider', 'tpm2', '-provider', 'default', '-propquery', '?provider=tpm2']

    const making = ['-algorithm', 'EC', '-pkeyopt', 'group:P-256', '-out', key]
    await openssl(own.resourceManagerPath, 'genpkey', ...providers, ...making)
    assert.match(readFileSync(key, 'utf8'), /BEGIN TSS2 PRIVATE KEY/)
    const publish = ['-in', key, '-pubout', '-out', publicKey]
    await openssl(own.resourceManagerPath, 'pkey', ...providers, ...publish)
    const sign = ['-sha256', '-sign', key, '-out', signature, message]
    await openssl(own.resourceManagerPath, 'dgst', ...providers, ...sign)
    // Without the TPM.
    const verify = ['dgst', '-sha256', '-verify', publicKey, '-signature', signature, message]
    assert.match(await tool('openssl', verify), /Verified OK/)
    await assert.rejects(openssl(other.resourceManagerPath, 'dgst', ...providers, ...sign))
  })
})
