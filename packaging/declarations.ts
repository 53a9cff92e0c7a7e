/**
 * Types for who imports the packed library: one `.d.ts` of all that a module shows, with its
 * documentation. What is shown says its types itself (no inference is needed), so this only reads
 * sources; what needs a package's types, or `any`, is refused. Knows nothing of packages.
 */
import { dirname, join } from "node:path";
import ts from "typescript";

/** A name, and the module that declares it. */
interface Place {
  readonly path: string;
  readonly name: string;
}

/** A module as its declarations. */
interface Module {
  readonly source: ts.SourceFile;
  /** Declarations by name; overloads are several. */
  readonly local: ReadonlyMap<string, readonly ts.Statement[]>;
  /** Names that it takes from elsewhere, by what it calls them. */
  readonly imported: ReadonlyMap<string, Place>;
  /** Names that it shows, by what they are called outside. */
  readonly shown: ReadonlyMap<string, Place>;
}

/**
 * The declarations of what `entry` exports, and of all that these mention.
 * @throws {Error} when two of them have one name, or one is not said in sources of this project.
 */
export function declarationsOf(entry: string): string {
  const modules = new Map<string, Module>();
  const read = (path: string): Module => {
    const module = modules.get(path) ?? readModule(path);
    modules.set(path, module);
    return module;
  };
  const texts = new Map<string, { readonly path: string; readonly text: string }>();
  const reach = ({ path, name }: Place): void => {
    const { source, local } = read(path);
    const statements = local.get(name);
    if (statements === undefined) throw new Error(`Cannot find the type ${name} in ${path}`);
    const text = statements.map((each) => textOf(each, source)).join("\n");
    const other = texts.get(name);
    if (other !== undefined) {
      if (other.path === path) return;
      throw new Error(`Cannot declare ${name} twice: as ${other.path} and ${path} say`);
    }
    if (statements.some(hasAny)) {
      throw new Error(`Cannot declare ${name} of ${path}: it has no type`);
    }
    texts.set(name, { path, text });
    for (const each of statements) forEachName(each, (used) => follow(path, used));
  };
  const follow = (path: string, name: string): void => {
    const { local, imported } = read(path);
    const from = imported.get(name);
    if (local.has(name)) reach({ path, name });
    else if (from !== undefined) reach(declaredAt(from, name, read));
  };
  const exports = [...read(entry).shown].map(([outside, place]) => {
    const declared = declaredAt(place, place.name, read);
    reach(declared);
    return declared.name === outside ? outside : `${declared.name} as ${outside}`;
  });
  const all = [...texts.values()].map(({ text }) => `${text}\n`).join("\n");
  return `${all}\nexport { ${exports.join(", ")} };\n`;
}

/** Where a name is declared, through any number of doors. */
function declaredAt(place: Place, calledHere: string, read: (path: string) => Module): Place {
  if (!place.path.endsWith(".ts")) {
    throw new Error(`Cannot declare ${calledHere}: its type is of the package ${place.path}`);
  }
  const { local, shown } = read(place.path);
  const beyond = shown.get(place.name);
  if (local.has(place.name) || beyond === undefined) {
    if (calledHere === place.name) return place;
    throw new Error(`Cannot declare ${place.name} of ${place.path} as ${calledHere}: rename it`);
  }
  return declaredAt(beyond, beyond.name, read);
}

function readModule(path: string): Module {
  const { outputText } = ts.transpileDeclaration(Deno.readTextFileSync(path), {
    fileName: path,
    compilerOptions: { target: ts.ScriptTarget.ESNext, strict: true },
  });
  const source = ts.createSourceFile(path, outputText, ts.ScriptTarget.ESNext, true);
  const local = new Map<string, ts.Statement[]>();
  const imported = new Map<string, Place>();
  const shown = new Map<string, Place>();
  for (const statement of source.statements) {
    if (ts.isImportDeclaration(statement)) {
      const from = moduleNamed(statement.moduleSpecifier, path);
      const names = statement.importClause?.namedBindings;
      if (names === undefined || !ts.isNamedImports(names)) continue;
      for (const { name, propertyName } of names.elements) {
        imported.set(name.text, { path: from, name: (propertyName ?? name).text });
      }
    } else if (ts.isExportDeclaration(statement)) {
      const from = moduleNamed(statement.moduleSpecifier, path);
      if (statement.exportClause === undefined || !ts.isNamedExports(statement.exportClause)) {
        continue;
      }
      for (const { name, propertyName } of statement.exportClause.elements) {
        const here = (propertyName ?? name).text;
        // What a module imports and shows, it shows as if it had it from there.
        const beyond = statement.moduleSpecifier === undefined ? imported.get(here) : undefined;
        shown.set(name.text, beyond ?? { path: from, name: here });
      }
    } else {
      for (const name of namesOf(statement)) {
        local.set(name, [...local.get(name) ?? [], statement]);
        if (/^export\b/.test(statement.getText(source))) shown.set(name, { path, name });
      }
    }
  }
  return { source, local, imported, shown };
}

/** A path for a module of this project, else a package's name. */
function moduleNamed(specifier: ts.Expression | undefined, path: string): string {
  if (specifier === undefined || !ts.isStringLiteral(specifier)) return path;
  return specifier.text.startsWith(".") ? join(dirname(path), specifier.text) : specifier.text;
}

function namesOf(statement: ts.Statement): string[] {
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.map(({ name }) => name.getText());
  }
  const { name } = statement as ts.Statement & { readonly name?: ts.Identifier };
  return name === undefined ? [] : [name.text];
}

/** Whether something in a declaration is of any type. */
function hasAny(node: ts.Node): boolean {
  return node.kind === ts.SyntaxKind.AnyKeyword ||
    ts.forEachChild(node, (child) => hasAny(child) || undefined) === true;
}

/** Every name that a declaration refers to, which need not be a module's; not those of members. */
function forEachName(node: ts.Node, visit: (name: string) => void): void {
  let used = referenceOf(node);
  while (used !== undefined && !ts.isIdentifier(used)) {
    if (ts.isQualifiedName(used)) used = used.left;
    else used = ts.isPropertyAccessExpression(used) ? used.expression : undefined;
  }
  if (used !== undefined) visit(used.text);
  node.forEachChild((child) => forEachName(child, visit));
}

function referenceOf(node: ts.Node): ts.Node | undefined {
  if (ts.isTypeReferenceNode(node)) return node.typeName;
  if (ts.isTypeQueryNode(node)) return node.exprName;
  const isNamed = ts.isExpressionWithTypeArguments(node) || ts.isComputedPropertyName(node);
  return isNamed ? node.expression : undefined;
}

/** A declaration with its docstring, without the word `export`. */
function textOf(statement: ts.Statement, source: ts.SourceFile): string {
  const start = statement.getStart(source);
  let code = statement.getText(source);
  for (const { pos, end } of repeatedMembers(statement).reverse()) {
    code = code.slice(0, pos - start) + code.slice(end - start);
  }
  code = code.replace(/^export /, "");
  const comments = ts.getLeadingCommentRanges(source.text, statement.getFullStart()) ?? [];
  const last = comments.at(-1);
  return last === undefined ? code : `${source.text.slice(last.pos, last.end)}\n${code}`;
}

/** TypeScript sees no libraries here: it says methods like [Symbol.dispose] as properties, too. */
function repeatedMembers(statement: ts.Statement): ts.ClassElement[] {
  if (!ts.isClassDeclaration(statement)) return [];
  const methods = statement.members.filter(ts.isMethodDeclaration).map(({ name }) =>
    name.getText()
  );
  return statement.members.filter((member) =>
    ts.isPropertyDeclaration(member) && ts.isComputedPropertyName(member.name) &&
    methods.includes(member.name.getText())
  );
}
