import type {
  Configuration,
  ConfigurationQuestion,
  ConfigurationType,
  CustomerCompany,
  TypeQuestion,
} from '../connectwise/company.ts';
import { wireTime } from '../time.ts';
import { makeCall, type Vendor } from '../wire.ts';
import type { SyncResult, UmbrellaConsole, UmbrellaCustomer } from './console.ts';

/** What Umbrella asks of each configuration; the real names are not known (domain.md §6). */
export const QUESTIONS = ['Umbrella Organization ID', 'Seats', 'Active Identities'];

/** ConnectWise refused a call; the sync ends there. */
class SyncRefused extends Error {
  override name = 'SyncRefused';
}

/**
 * Umbrella's daily sync of one console (domain.md §1): with the installed key it ensures the configuration
 * type, and for every mapped customer one configuration named after it, whose questions it refreshes. It
 * speaks to ConnectWise through the same checks as any client; its calls are in no journal and no quota.
 */
export function runSync(
  console: UmbrellaConsole,
  connectwise: Vendor,
  codebase: string,
  now: Date,
): SyncResult {
  const result: SyncResult = {
    at: wireTime(now),
    outcome: 'succeeded',
    created: 0,
    refreshed: 0,
    skipped: 0,
    error: null,
  };
  const pair = console.installed;
  if (pair === null) return { ...result, outcome: 'not-installed' };
  const credentials = `${console.companyId}+${pair.publicKey}:${pair.privateKey}`;
  const client = new Client(connectwise, `/${codebase}apis/3.0`, credentials);
  try {
    const type = ensureType(client, console.options.configurationType);
    const questions = client.list<TypeQuestion>(`/company/configurations/types/${type.id}/questions`, {});
    for (const customer of console.customers.values()) {
      if (customer.mappedTo === null) continue;
      syncCustomer(client, type, customer, answers(questions, customer, console.organizationId), result);
    }
    return result;
  } catch (error) {
    if (error instanceof SyncRefused) return { ...result, outcome: 'failed', error: error.message };
    throw error;
  }
}

function ensureType(client: Client, name: string): ConfigurationType {
  const conditions = `name = ${quote(name)}`;
  const found = client.list<ConfigurationType>('/company/configurations/types', { conditions })[0];
  if (found !== undefined) return found;
  const created = client.send('POST', '/company/configurations/types', { name }) as ConfigurationType;
  for (const [index, question] of QUESTIONS.entries()) {
    client.send('POST', `/company/configurations/types/${created.id}/questions`, {
      fieldType: 'Text',
      entryType: 'EntryField',
      sequenceNumber: index + 1,
      question,
    });
  }
  return created;
}

function syncCustomer(
  client: Client,
  type: ConfigurationType,
  customer: UmbrellaCustomer,
  questions: ConfigurationQuestion[],
  result: SyncResult,
): void {
  const conditions = `identifier = ${quote(customer.mappedTo ?? '')}`;
  const company = client.list<CustomerCompany>('/company/companies', { conditions })[0];
  if (company === undefined) {
    result.skipped += 1;
    return;
  }
  const existing = client.list<Configuration>('/company/configurations', {
    conditions: `type/id = ${type.id} and company/id = ${company.id} and name = ${quote(customer.customerName)}`,
  })[0];
  if (existing === undefined) {
    const reference = { id: company.id };
    const name = customer.customerName;
    client.send('POST', '/company/configurations', {
      name,
      type: { id: type.id },
      company: reference,
      questions,
    });
    result.created += 1;
  } else {
    const step = { op: 'replace', path: 'questions', value: questions };
    client.send('PATCH', `/company/configurations/${existing.id}`, [step]);
    result.refreshed += 1;
  }
}

function answers(
  questions: TypeQuestion[],
  customer: UmbrellaCustomer,
  organizationId: number,
): ConfigurationQuestion[] {
  const values = [
    String(organizationId),
    String(customer.seats),
    String(customer.seats - 1 + customer.revision),
  ];
  return questions.map((question, index) => ({
    answerId: customer.customerId * 10 + index,
    questionId: question.id,
    question: question.question,
    answer: values[index] ?? '',
    sequenceNumber: question.sequenceNumber,
    fieldType: question.fieldType,
    requiredFlag: question.requiredFlag,
  }));
}

function quote(text: string): string {
  return `"${text.replace(/[\\"]/g, String.raw`\$&`)}"`;
}

class Client {
  readonly #vendor: Vendor;
  readonly #base: string;
  readonly #headers: Record<string, string>;

  constructor(vendor: Vendor, base: string, credentials: string) {
    this.#vendor = vendor;
    this.#base = base;
    this.#headers = {
      authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
      clientid: '0a3e1f64-umbrella-simulated',
    };
  }

  list<T>(path: string, query: Record<string, string>): T[] {
    return this.#call('GET', `${path}?${new URLSearchParams(query).toString()}`, '') as T[];
  }

  send(method: 'POST' | 'PATCH', path: string, body: unknown): unknown {
    return this.#call(method, path, JSON.stringify(body));
  }

  #call(method: string, url: string, body: string): unknown {
    const call = { ...makeCall(method, this.#base + url, this.#headers, body), unmetered: true };
    const reply = this.#vendor.prepare(call).run();
    if (reply.status >= 300) throw new SyncRefused(`${reply.status} ${method} ${url.split('?', 1)[0] ?? ''}`);
    return reply.body;
  }
}
