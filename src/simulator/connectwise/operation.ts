import type { World } from '../world.ts';
import type { OnCreated, Reply } from '../wire.ts';
import type { LevelKind } from './catalogue.ts';
import type { ApiMember, ConnectWiseCompany } from './company.ts';

/** The permission that an operation asks of the caller's role (domain.md §1, §4). */
export interface Need {
  /** `Module/Function`. */
  on: string;
  kind: LevelKind;
  /** The item of System / Table Setup / customize that must be on the role's allow list besides. */
  item?: string;
}

/** Everything an operation may look at. */
export interface Context {
  world: World;
  company: ConnectWiseCompany;
  member: ApiMember;
  now: Date;
  /** Values of the template's `{…}` parts, in order. */
  parameters: readonly string[];
  query: Record<string, string>;
  headers: Record<string, string | string[] | undefined>;
  /** Without the query; used in `Link` headers. */
  path: string;
  body: string;
  onCreated: OnCreated;
  /** Whether the role's level is `My`: then only what the member entered itself is seen. */
  onlyMine: boolean;
}

export interface Operation {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** The contract's path template. */
  template: string;
  /** Absent: every authenticated key may. */
  need?: Need;
  run(context: Context): Reply;
}
