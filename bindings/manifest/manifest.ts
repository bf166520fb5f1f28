import { ApiObject, Yaml } from 'cdk8s';
import { Construct } from 'constructs';

declare const require: any; // Node's, whose types would be a dependency

// The library that cdk8s writes YAML with, which is among cdk8s's own modules.
const YAML = require(require.resolve('yaml', { paths: [require.resolve('cdk8s')] }));

/** A Kubernetes object given as JSON text: one string crosses into node, and neither side walks the object. */
export class Manifest extends ApiObject {
  /**
   * Creates many objects in one call, in the order of the text.
   *
   * @param scopes constructs that objects are created in
   * @param json a list of [index into scopes, id, object]
   */
  public static createAll(scopes: Construct[], json: string): void {
    for (const [index, id, object] of JSON.parse(json)) {
      const scope = scopes[index];
      try {
        new Manifest(scope, id, object);
      } catch (error) {
        throw new Error(`${scope.node.path}/${id}: ${(error as Error).message}`);
      }
    }
  }

  /**
   * Makes cdk8s quote every string that `pattern` matches, besides those that it quotes by itself.
   *
   * cdk8s writes for readers of YAML 1.1 and leaves plain what others take for a number. Its own
   * options stay as they are (lib/yaml.js), but that `<<` is text like any other.
   *
   * @param pattern a regular expression that matches whole strings
   */
  public static quote(pattern: string): void {
    const compat = [{ tag: 'ambiguous', default: true, test: new RegExp(pattern), resolve: String }];
    const customTags = (tags: any[]) => tags.filter((each) => each.tag !== 'tag:yaml.org,2002:merge');
    const options = { keepUndefined: true, lineWidth: 0, version: '1.1', compat, customTags };
    Yaml.stringify = (...docs: any[]) =>
      docs.map((doc) => (doc === undefined ? '\n' : YAML.stringify(doc, options))).join('---\n');
  }

  /**
   * @param scope the construct that the object is created in
   * @param id the name of the construct, unique in its scope
   * @param object the object, as JSON text or parsed
   */
  public constructor(scope: Construct, id: string, object: any) {
    super(scope, id, typeof object === 'string' ? JSON.parse(object) : object);
  }
}
