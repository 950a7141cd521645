import type { Handoff } from '../../src/domain/handoff.ts';
import type {
  RotationRecordView,
  RotationView,
  StatusView,
  UmbrellaRotationView,
} from '../../src/reconciler/commands.ts';
import * as canned from './canned.ts';

/** Rotations as the service tells them. */

export const underWay: RotationView = {
  id: '019abf52-7c05-7a00-8c01-000000000001',
  phase: 'AwaitingAdoption',
  since: '2026-11-24T05:00:00.000Z',
  cause: 'request',
  by: 'ann',
  reason: 'a drill, as our policy asks for one in each quarter of the year and after each change of staff',
  member: 'umbrella-b',
  old: { fingerprint: '3f9a0c1d22ab44ef', member: 'umbrella-a', deadSince: null },
  new: { fingerprint: '77aa01bb23c4d5e6', member: 'umbrella-b' },
  deadline: '2026-11-27T05:00:00.000Z',
  next: 'Umbrella is to write as umbrella-b.',
  rollingBack: false,
};

const record = (change: Partial<RotationRecordView>): RotationRecordView => ({
  ...underWay,
  old: { ...underWay.old!, lastWrite: null },
  cutNow: false,
  requestedAt: '2026-11-24T04:00:00.000Z',
  admittedAt: '2026-11-24T04:00:00.000Z',
  installable: { at: '2026-11-24T05:00:00.000Z', how: 'revealed' },
  adopted: null,
  history: [{ phase: 'Pending', at: '2026-11-24T04:00:00.000Z', evidence: 'a drill' }],
  notices: [],
  outcome: null,
  endedAt: null,
  ...change,
});

export const rotations: RotationRecordView[] = [
  record({
    notices: [
      {
        kind: 'AdoptionOverdue',
        at: '2026-11-24T07:00:00.000Z',
        message: 'Umbrella was not seen to use the new key by 2026-11-24T07:00:00.000Z. Nothing is cut.',
      },
    ],
  }),
  record({
    id: '019abf52-7c05-7a00-8c01-000000000002',
    phase: 'RetirementUnproved',
    cause: 'compromise',
    by: null,
    reason: null,
    old: { fingerprint: null, member: 'umbrella-a', deadSince: null, lastWrite: null },
    requestedAt: '2026-10-01T04:00:00.000Z',
    outcome: 'The old key that Parasol was not given is out of use, and was not seen dead.',
    endedAt: '2026-10-02T04:00:00.000Z',
  }),
  record({
    id: '019abf52-7c05-7a00-8c01-000000000003',
    phase: 'Failed',
    cause: 'first',
    old: null,
    new: null,
    requestedAt: '2026-09-01T04:00:00.000Z',
    outcome: 'It failed.',
    endedAt: '2026-09-02T04:00:00.000Z',
  }),
];

export const rotatingStatus: StatusView = { ...canned.readyStatus, rotation: underWay };

export const install: Handoff = {
  ...canned.handoff,
  id: '019abf52-7c02-7f22-9b02-77aa01bb99d5',
  kind: 'install-integration-key',
  subject: '77aa01bb23c4d5e6',
  state: 'claimed',
  claimedBy: 'jamie',
  claimedAt: '2026-11-24T07:45:00.000Z',
};

export const revealed = {
  handoff: { ...install, revealedAt: '2026-11-24T08:00:00.000Z', revealedTo: 'jamie' },
  fingerprint: install.subject,
  member: 'umbrella-b',
  publicKey: 'sentinel-public',
  privateKey: 'sentinel-private',
};

export const umbrellaRotation: UmbrellaRotationView = {
  number: 2,
  phase: 'Resting',
  since: '2026-11-24T07:00:00.000Z',
  startedAt: '2026-11-24T06:00:00.000Z',
  cause: 'age',
  why: 'The key is older than rotation.maxAge.',
  by: null,
  old: 'aa9a0c1d22ab44ef',
  new: 'bb9a0c1d22ab44ef',
  tenants: ['acme'],
  others: 1,
  held: null,
  stuck: 'The old key is still used by somebody whom Parasol does not know: find out who it is.',
  evidence: [{ at: '2026-11-24T07:00:00.000Z', what: 'The new key is in use for acme, another tenant.' }],
};
