/**
 * A validator for the part of JSON Schema that docs/schemas uses. It knows every keyword that it
 * meets, or throws: a rule that is passed over would be a rule that nobody holds.
 */
import { readFileSync } from 'node:fs';

type Schema = Readonly<Record<string, unknown>>;

const remarks = ['$schema', '$defs', 'title', 'description'];

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return Number.isInteger(value) ? 'integer' : typeof value;
}

type Rule = (rule: never, value: never, at: string, look: Look) => string[];
type Look = { schema: Schema; root: Schema };

const rules: Record<string, Rule> = {
  $ref(rule: string, value: unknown, at, { root }) {
    const name = /^#\/\$defs\/(\w+)$/.exec(rule)?.[1] ?? '';
    const found = (root.$defs as Record<string, Schema>)[name];
    if (!found) throw new Error(`There is no ${rule}`);
    return problems(value, found, at, root);
  },
  anyOf(rule: Schema[], value: unknown, at, { root }) {
    const tried = rule.map((one) => problems(value, one, at, root));
    if (tried.some((found) => found.length === 0)) return [];
    const closest = tried.reduce((best, found) => (found.length < best.length ? found : best));
    return [`${at}: fits none of ${rule.length}; the closest: ${closest.join('; ')}`];
  },
  type(rule: string | string[], value: unknown, at) {
    const types = [rule].flat();
    const found = typeOf(value);
    const isIt = types.includes(found) || (found === 'integer' && types.includes('number'));
    return isIt ? [] : [`${at}: is ${found}, not ${types.join(' or ')}`];
  },
  const(rule: unknown, value: unknown, at) {
    return value === rule
      ? []
      : [`${at}: is ${JSON.stringify(value)}, not ${JSON.stringify(rule)}`];
  },
  enum(rule: unknown[], value: unknown, at) {
    return rule.includes(value) ? [] : [`${at}: ${JSON.stringify(value)} is not one of its values`];
  },
  pattern(rule: string, value: unknown, at) {
    const isIt = typeof value !== 'string' || new RegExp(rule).test(value);
    return isIt ? [] : [`${at}: '${value}' does not match ${rule}`];
  },
  minimum(rule: number, value: unknown, at) {
    return typeof value !== 'number' || value >= rule ? [] : [`${at}: ${value} < ${rule}`];
  },
  minItems(rule: number, value: unknown, at) {
    return !Array.isArray(value) || value.length >= rule ? [] : [`${at}: fewer than ${rule}`];
  },
  maxItems(rule: number, value: unknown, at) {
    return !Array.isArray(value) || value.length <= rule ? [] : [`${at}: more than ${rule}`];
  },
  items(rule: Schema, value: unknown, at, { root }) {
    if (!Array.isArray(value)) return [];
    return value.flatMap((item, i) => problems(item, rule, `${at}[${i}]`, root));
  },
  required(rule: string[], value: unknown, at) {
    if (typeOf(value) !== 'object') return [];
    return rule
      .filter((key) => !Object.hasOwn(value as object, key))
      .map((k) => `${at}.${k}: missing`);
  },
  properties(rule: Record<string, Schema>, value: unknown, at, { root }) {
    if (typeOf(value) !== 'object') return [];
    return Object.entries(value as object).flatMap(([key, part]) =>
      rule[key] ? problems(part, rule[key], `${at}.${key}`, root) : [],
    );
  },
  additionalProperties(rule: boolean, value: unknown, at, { schema }) {
    if (rule || typeOf(value) !== 'object') return [];
    const known = schema.properties as object;
    return Object.keys(value as object)
      .filter((key) => !Object.hasOwn(known, key))
      .map((key) => `${at}.${key}: unknown`);
  },
};

/** What is wrong with a value; empty: nothing. */
export function problems(value: unknown, schema: Schema, at = '$', root = schema): string[] {
  return Object.entries(schema).flatMap(([keyword, rule]) => {
    if (remarks.includes(keyword)) return [];
    const check = rules[keyword];
    if (!check) throw new Error(`The keyword ${keyword} is not known here`);
    return check(rule as never, value as never, at, { schema, root });
  });
}

/** The schema that a document of the command names. Tests run in the package's root. */
export function schemaOf(document: unknown): Schema {
  const { schema } = document as { schema?: unknown };
  const name = /^memmap\.([\w-]+)\/1$/.exec(String(schema))?.[1];
  if (name === undefined) throw new Error(`It names no schema: ${JSON.stringify(schema)}`);
  return JSON.parse(readFileSync(`docs/schemas/${name}.json`, 'utf8')) as Schema;
}
