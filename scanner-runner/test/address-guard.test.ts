import { describe, expect, it } from 'vitest'
import { addressRefusal } from '../src/net/address-guard.ts'

const PUBLIC = [
  '1.1.1.1',
  '8.8.8.8',
  '172.15.255.255',
  '172.32.0.1',
  '192.169.0.1',
  '2606:4700:4700::1111',
  '::ffff:8.8.8.8',
  '64:ff9b::808:808',
]
const PRIVATE = [
  ...['0.0.0.0', '10.1.2.3', '100.64.0.1', '127.0.0.1', '127.255.255.255', '172.16.0.1', '172.31.255.255'],
  ...['192.168.1.1', '198.18.0.1', '224.0.0.1', '255.255.255.255', '::', '::1', 'fc00::1', 'fd12:3456::1'],
  ...[
    'ff02::1',
    '2001:db8::1',
    '2002:7f00:1::',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::FFFF:10.0.0.1',
    '64:ff9b::a00:1',
  ],
]
const NEVER = [
  '169.254.169.254',
  '169.254.0.1',
  '100.100.100.200',
  '168.63.129.16',
  'fe80::1',
  'fe80::1%eth0',
  'fd00:ec2::254',
  '::ffff:169.254.169.254',
  '64:ff9b::a9fe:a9fe',
]

describe('the address guard', () => {
  it.each(PUBLIC)('lets %s pass', (address) => {
    expect(addressRefusal(address, false)).toBeNull()
    expect(addressRefusal(address, true)).toBeNull()
  })

  it.each(PRIVATE)('refuses %s unless private networks are allowed', (address) => {
    expect(addressRefusal(address, false)).not.toBeNull()
    expect(addressRefusal(address, true)).toBeNull()
  })

  it.each(NEVER)('refuses %s even where private networks are allowed', (address) => {
    expect(addressRefusal(address, false)).not.toBeNull()
    expect(addressRefusal(address, true)).not.toBeNull()
  })

  it('refuses what is not an address', () => {
    for (const text of ['', 'localhost', '1.2.3', '127.1', '0x7f000001'])
      expect(addressRefusal(text, true)).not.toBeNull()
  })
})
