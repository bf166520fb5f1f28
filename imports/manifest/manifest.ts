import { ApiObject } from 'cdk8s';
import { Construct } from 'constructs';

/** A Kubernetes object given as JSON text: one string crosses into node, and neither side walks the object. */
export class Manifest extends ApiObject {
  /**
   * Creates many objects in one call and returns them in the order of the text.
   *
   * @param scopes constructs that objects are created in
   * @param json a list of [index into scopes, id, object]
   */
  public static createAll(scopes: Construct[], json: string): Manifest[] {
    return JSON.parse(json).map(([index, id, object]: [number, string, object]) => {
      const scope = scopes[index];
      try {
        return new Manifest(scope, id, object);
      } catch (error) {
        throw new Error(`${scope.node.path}/${id}: ${(error as Error).message}`);
      }
    });
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
